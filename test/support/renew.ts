import type { LeasedTask } from "../../src/broker/broker.js";
import { keysOf } from "../../src/redis/keys.js";
import * as scripts from "../../src/redis/scripts.gen.js";
import type { RedisServer } from "./redis-server.js";

/** What the lease keeper's thread does on Redis: the script's reply. */
export async function renew(
  server: RedisServer,
  queues: readonly string[],
  leased: readonly LeasedTask[],
  untilS: number,
): Promise<unknown> {
  const { script, keys, args } = scripts.renew(
    queues.map((queue) => keysOf(queue)),
    { untilS },
    leased.map(({ lease: { queue, id, token } }) => ({ number: queues.indexOf(queue) + 1, id, held: token })),
  );
  const sent = args.map((arg) =>
    typeof arg === "symbol" ? 0 : typeof arg === "object" ? Buffer.from(arg) : String(arg),
  );
  return server.admin.eval(script.text, keys.length, ...keys, ...sent);
}
