import { expect, it } from "vitest";
import { message, settled as settledTask } from "../../test/support/builders.js";
import { until } from "../../test/support/until.js";
import type { LeasedTask, Settlement, SettleReceipt, Turn, TurnReply, Working } from "../broker/broker.js";
import { systemClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { silent } from "../core/log.js";
import { Turns } from "./turns.js";
import { Watch } from "./watch.js";

const task = (queue: string, id = queue): LeasedTask => ({
  message: message(),
  lease: { queue, id, token: id, untilMs: Date.now() + 30_000 },
  crashes: 0,
  returns: 0,
  atMostOnce: false,
});

it("settlements of twenty queues that wait for storage at once do not look like a leak to Node.js", async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error) => void warnings.push(name);
  process.on("warning", note);
  let tries = 0;
  const exchange = async (): Promise<TurnReply> => {
    tries += 1;
    throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "a key is in the way" });
  };
  const broker = { label: "scripted", clock: systemClock, exchange } as unknown as Working;
  const turns = new Turns(broker, silent, new Watch(broker, 1_000, silent), {
    onSettled: () => {},
    endedSince: () => [],
  });
  await turns.take({ settle: Array.from({ length: 20 }, (_, n) => settledTask.completed(task(`q${n}`))) });
  await until("each queue's has been tried by itself", () => tries === 21);
  // They wait now, and Node.js tells its warnings in the next turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
  turns.giveUp();
  process.off("warning", note);

  expect(warnings).toEqual([]);
});

it("what many turns could not settle of a queue that is away is asked for together, and what is refused then apart", async () => {
  let storage: "away" | "refuses" = "away";
  const asked: string[][] = [];
  const exchange = async ({ settle }: Turn): Promise<TurnReply> => {
    asked.push(settle.map((one) => one.task.lease.id));
    const isPoisoned = settle.some((one) => one.task.lease.id === "7");
    if (storage === "refuses" && isPoisoned)
      throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "a key is in the way" });
    const settled = settle.map(() => (storage === "away" ? ("unavailable" as const) : ("settled" as const)));
    return { settled, leased: [], more: false, dry: [], paused: [] };
  };
  const broker = { label: "scripted", clock: systemClock, exchange } as unknown as Working;
  const settled: string[] = [];
  const turns = new Turns(broker, silent, new Watch(broker, 1_000, silent), {
    onSettled: (settlements) => void settled.push(...settlements.map((one) => one.task.lease.id)),
    endedSince: () => [],
  });
  const ids = Array.from({ length: 20 }, (_, n) => `${n}`);
  // oxlint-disable-next-line no-await-in-loop -- one turn after the other
  for (const id of ids) await turns.take({ settle: [settledTask.completed(task("q", id))] });
  expect(asked).toEqual(ids.map((id) => [id]));

  await until("they are asked for together", () => asked.at(-1)?.length === 20);
  const whileAway = asked.slice(20);
  expect(whileAway).toEqual(whileAway.map(() => ids));

  storage = "refuses";
  await until("all but one are through", () => settled.length === 19);
  expect(settled.toSorted()).toEqual(ids.filter((id) => id !== "7").toSorted());
  turns.giveUp();
});

/** Turns with a queue whose storage answers as `receipt` says. */
function turnsWith(receipt: (asked: readonly string[]) => SettleReceipt) {
  const settled: string[] = [];
  const exchange = async ({ settle }: Turn): Promise<TurnReply> => {
    const answer = receipt(settle.map((one) => one.task.lease.id));
    return { settled: settle.map(() => answer), leased: [], more: false, dry: [], paused: [] };
  };
  const broker = { label: "scripted", clock: systemClock, exchange } as unknown as Working;
  const turns = new Turns(broker, silent, new Watch(broker, 1_000, silent), {
    onSettled: (settlements) => void settled.push(...settlements.map((one) => one.task.lease.id)),
    endedSince: () => [],
  });
  return { turns, settled };
}

it("a queue that is away again when a part is settled is asked with pauses, as before", async () => {
  const askedAtMs: number[] = [];
  let answered = 0;
  const { turns, settled } = turnsWith((asked) => {
    if (answered > 0 && asked.length === 500) return "settled";
    if (answered > 0) askedAtMs.push(performance.now());
    answered += 1;
    return "unavailable";
  });
  await turns.take({ settle: Array.from({ length: 501 }, (_, n) => settledTask.completed(task("q", `${n}`))) });

  await until("it has been asked for the last one three times", () => askedAtMs.length >= 3);
  turns.giveUp();
  expect(settled.length).toBe(500);
  const [first, second, third] = askedAtMs;
  expect([second! - first! >= 45, third! - second! >= 90]).toEqual([true, true]);
});

it("what is given back when a queue's storage is there again is given back together, for its order's sake", async () => {
  let isAway = true;
  const asked: number[] = [];
  const { turns, settled } = turnsWith((ids) => {
    if (isAway) return "unavailable";
    asked.push(ids.length);
    return "settled";
  });
  const givenBack = (n: number): Settlement => ({
    task: task("q", `${n}`),
    outcome: { kind: "released", unstarted: true },
  });
  await turns.take({ settle: Array.from({ length: 800 }, (_, n) => givenBack(n)) });
  isAway = false;
  await until("all are given back", () => settled.length === 800);
  turns.giveUp();

  expect(asked).toEqual([800]);
});
