import type { Progress } from "../broker/broker.js";
import { batches } from "./batches.js";
import { keysOf } from "./keys.js";
import { LinkError, type RedisLink } from "./link.js";
import { report as reportCall } from "./scripts.gen.js";

/** One trip, and one call a queue. */
export async function report(link: RedisLink, progress: readonly Progress[]): Promise<void> {
  const queues = [...new Set(progress.map(({ lease }) => lease.queue))];
  const calls = queues.flatMap((queue) => {
    const its = progress.filter(({ lease }) => lease.queue === queue);
    return [...batches(its, ({ bytes }) => bytes.length)].map((batch) => {
      const rows = batch.map(({ lease, bytes }) => ({ id: lease.id, held: lease.token, progress: bytes }));
      return reportCall(keysOf(queue), {}, rows);
    });
  });
  const failed = (await link.run(calls)).find((reply) => reply instanceof LinkError);
  if (failed !== undefined) throw failed.toError(link.label);
}
