import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { pause } from "../core/loop.js";
import type { FailedOver } from "../broker/standstill.js";
import { Connection } from "./connection.js";
import { answerMs, Master, type Place, type Sentinels } from "./fail-over-master.js";
import { openConnection } from "./open-connection.js";
import { LinkError } from "./link.js";
import { SentinelWatch } from "./sentinel-watch.js";

const everyMs = 50;
/** What is left of the freeze when we stop waiting: nothing of ours happens after it. */
const marginMs = 1_000;
/** Replicas say where they are once a second; one that is well has said it by then. */
const sayMs = 1_200;
/** How long the replicas have to show that they follow, before anything is frozen. */
const followMs = 3_000;

/**
 * Has the Sentinels make a replica the master. They tell the old one only seconds later, and what it takes meanwhile is
 * lost; so it is frozen first (CLIENT PAUSE: nobody can write, whoever it is), all replicas get to where it is, and it is
 * made to follow as soon as the new one is there and shows that it has everything. The freeze ends by itself, also when
 * this process dies.
 *
 * Sentinels publish at the master, and ping on the same connection: a frozen one looks dead to them after down-after. So
 * until one of them is told, the freeze is much shorter than that, and none is begun while a replica does not follow.
 * @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE
 */
export async function failOver(place: Sentinels, withinMs: number): Promise<FailedOver> {
  const watch = new SentinelWatch(place);
  const old = await new Master(place).find();
  const lines: Connection[] = [];
  try {
    lines.push(...(await linesTo(place)));
    return await change(place, old, watch, lines, withinMs);
  } finally {
    watch.close();
    for (const line of lines) line.end();
    old.connection.end();
  }
}

async function change(
  place: Sentinels,
  old: Master,
  watch: SentinelWatch,
  lines: readonly Connection[],
  withinMs: number,
): Promise<FailedOver> {
  const { label } = place;
  const isTheMaster = async () => (await watch.master(answerMs))?.address === old.address;
  if (!(await isTheMaster())) {
    throw trouble(label, "the Sentinels are at work on a failover, or too few of them answer: nothing was changed");
  }
  await allFollow(label, old);

  const frozenAtMs = performance.now();
  const untilMs = frozenAtMs + withinMs - marginMs;
  const briefMs = Math.min(withinMs - marginMs, Math.max(sayMs, watch.soonestDownMs / 3));
  const toldByMs = frozenAtMs + briefMs;
  const longer = () => old.freeze(withinMs - (performance.now() - frozenAtMs));
  let mayThaw = false;
  try {
    let had: Place | undefined;
    try {
      had = await old.freeze(briefMs);
      await allHave(label, old, had, toldByMs);
      // What came in should the short freeze have ended, the replicas must have, too.
      had = await longer();
      await allHave(label, old, had, toldByMs);
      const unfit = () => trouble(label, "the Sentinels find no replica fit to be the master: nothing was changed");
      await waitFor(toldByMs, unfit, () => {
        // Whoever was held up here does not know what has happened since.
        if (performance.now() > toldByMs) throw unfit();
        return tellOne(lines, place);
      });
    } catch (error) {
      mayThaw = await isTheMaster();
      if (mayThaw || had === undefined) throw error;
      // They have made another by themselves, or are about to: what the old one took now would be lost.
      await longer();
    }
    const late = () =>
      trouble(
        label,
        `the Sentinels have not made another master yet, and may still: leave ${old.address} be until SENTINEL MASTER shows one master and no failover_in_progress`,
        "unknown",
      );
    const next = await waitFor(untilMs, late, () => new Master(place).other(old.address));
    try {
      const found = await next.replication();
      if (found.formerId !== had.replicationId || found.formerOffset <= had.offset) {
        throw trouble(
          label,
          `${next.address} became the master, and lacks what ${old.address} had: leave that one be`,
          "unknown",
        );
      }
      await old.ask("REPLICAOF", ...hostPort(next.connection));
      mayThaw = true;
      // As a Sentinel would: else it comes back from a restart as a master. One without a file to write it to is told again.
      await old.ask("CONFIG", "REWRITE").catch(() => undefined);
      const frozenMs = Math.round(performance.now() - frozenAtMs);
      return { from: old.address, to: next.address, frozenMs, offset: had.offset };
    } finally {
      next.connection.end();
    }
  } finally {
    // A master that may yet be replaced stays frozen, as long as the freeze lasts.
    if (mayThaw) await old.ask("CLIENT", "UNPAUSE").catch(() => undefined);
  }
}

const hostPort = ({ address }: Connection): [string, number] => [address.host, address.port];

/** One that hangs is "online" for a minute; it is told by what it lacks, and by its silence. */
const lagging = ({ replicas }: Place, offset: number) =>
  replicas.filter((replica) => !replica.online || replica.offset < offset || replica.silentS > 1);

/** Before anything is frozen: there are replicas, and each has got to where the master was. */
async function allFollow(broker: string, master: Master): Promise<void> {
  const now = await master.replication();
  if (!now.replicas.some(({ online }) => online)) {
    const problem = "no replica follows the master: none can replace it";
    throw new HoldfastError("BROKER_INCOMPATIBLE", { broker, problem });
  }
  await allHave(broker, master, now, performance.now() + followMs);
}

async function allHave(broker: string, master: Master, { offset }: Place, untilMs: number): Promise<void> {
  let behind: string[] = [];
  const late = () => {
    const who = behind.length === 0 ? "no replica is left" : `${behind.join(", ")} did not get to where the master is`;
    return trouble(broker, `${who}: nothing was changed`);
  };
  await waitFor(untilMs, late, async () => {
    const now = await master.replication();
    behind = lagging(now, offset).map(({ server }) => server);
    return now.replicas.length > 0 && behind.length === 0;
  });
}

/** Connections to the Sentinels that answer: to look for one takes time, and nothing is frozen yet. */
async function linesTo({ sentinels }: Sentinels): Promise<Connection[]> {
  const opened = await Promise.all(sentinels.map((one) => openConnection(one, new DisciplinedClock(), answerMs)));
  return opened.filter((one) => one instanceof Connection);
}

/** True when a Sentinel has begun, or another has; false when it finds no replica fit now. No more than one is told. */
async function tellOne(lines: readonly Connection[], { master, label }: Sentinels): Promise<boolean> {
  let problem = "no Sentinel answers";
  for (const line of lines) {
    const [reply] = await line.send([{ name: "SENTINEL", args: ["FAILOVER", master] }], answerMs);
    // Without an answer it may have begun: no other is told.
    if (!(reply instanceof LinkError) || reply.outcome === "unknown" || reply.code === "INPROG") return true;
    if (reply.code === "NOGOODSLAVE") return false;
    ({ problem } = reply);
  }
  throw trouble(label, problem);
}

const trouble = (broker: string, problem: string, outcome: "refused" | "unknown" = "refused") =>
  new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome, taskIds: [] });

/** Looks again and again until there is an answer; none in time is `late`. */
async function waitFor<T>(untilMs: number, late: () => Error, look: () => Promise<T | false | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() + everyMs >= untilMs) throw late();
    await pause(everyMs);
  }
}
