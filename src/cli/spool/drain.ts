import { setTimeout as sleep } from "node:timers/promises";
import { newId } from "../../core/ids.js";
import { homesIn } from "../../embedded/spool/home.js";
import type { Spools } from "../../embedded/spool/open-spools.js";
import type { SpoolKey } from "../../index.js";
import type { ActFlags } from "../flags.js";
import { actOf, inTermsOf } from "../storage.js";

const lookMs = 200;

export interface Drained {
  readonly delivered: number;
  readonly parked: number;
  readonly left: number;
}

/** Until what dead processes left is in Redis for good, or the signal aborts. */
export async function drained(
  spools: Spools,
  url: string,
  key: SpoolKey | undefined,
  flags: ActFlags,
  signal: AbortSignal,
): Promise<Drained> {
  const dead = spools.list().filter(({ alive }) => !alive);
  const tasks = dead.reduce((sum, part) => sum + part.tasks, 0);
  const parkedBefore = dead.reduce((sum, part) => sum + part.parked, 0);
  if (dead.length === 0) return { delivered: 0, parked: 0, left: 0 };
  // Taken over again, it keeps the first part of its name.
  const names = dead.map(({ name }) => name.replace(/\.by-.*/, ""));
  const { connect, Inspector } = await import("../../index.js");
  const { directory } = spools;
  const broker = inTermsOf(flags, () => connect(url, { spool: key === undefined ? directory : { directory, key } }));
  try {
    const spool = broker.spool!;
    for (;;) {
      const stats = await spool.stats();
      const untouched = homesIn(directory).some((home) => names.some((name) => home.startsWith(name)));
      const done = !untouched && stats.tasks === 0;
      if (done || signal.aborted) {
        const parked = Math.max(0, stats.parked - parkedBefore);
        const left = done ? 0 : stats.tasks;
        const delivered = Math.max(0, tasks - left - parked);
        if (delivered > 0) {
          const { actor, reason = "" } = await actOf(flags, new Inspector(broker));
          const nowMs = broker.clock.nowMs();
          const what = JSON.stringify(names);
          const act = { actor, reason, requestId: newId(nowMs), verb: "spool drain", what, count: delivered };
          await broker.audit.append([act], nowMs);
        }
        return { delivered, parked, left };
      }
      await sleep(lookMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await broker.close();
  }
}
