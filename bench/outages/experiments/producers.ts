/** What callers of enqueue meet. */
import { setTimeout as sleep } from "node:timers/promises";
import { FaultProxy } from "../../../test/support/fault-proxy.js";
import { callerPatienceMs } from "../contender.js";
import { answered, type Experiment, experiment, saysUnknown, seconds } from "../experiment.js";
import type { Answer } from "../host.js";
import { answerOf, comesTrue, type Reckoning, reckon } from "../scene.js";

const patience = `an answer within the caller's ${callerPatienceMs / 1_000} s`;
/** A busy machine's timers are late. */
const longestMs = callerPatienceMs + 500;
const inTime = (answer: Answer | undefined) => answer !== undefined && answer.tookMs <= longestMs;

const neverUp = experiment({
  name: "never-up",
  durable: true,
  boundS: 90,
  async run(scene) {
    const [producer, worker] = await scene.hosts(2);
    await scene.server.kill();
    await producer!.open(scene.server.url);
    await producer!.enqueue({});
    const answer = await answerOf(producer!, 1, 12_000);
    await scene.redisIsBack();
    await worker!.open(scene.server.url);
    await worker!.work(1);
    return { answer, ran: await comesTrue(() => worker!.starts.has(1), 10_000) };
  },
  rows: [
    {
      says: "Redis was never up: one call",
      cell: ({ answer, ran }) => `${answered(answer, 12)}; ${ran ? "ran" : "not run"} when Redis came`,
      target: `${patience}; what was accepted runs`,
      holds: ({ answer, ran }) => inTime(answer) && (ran === answer!.ok || saysUnknown(answer!)),
    },
  ],
});

const killed = experiment({
  name: "killed",
  durable: true,
  boundS: 90,
  async run(scene) {
    const [producer] = await scene.hosts(1);
    await producer!.open(scene.server.url);
    await producer!.enqueue({ from: 0 });
    await answerOf(producer!, 0, 10_000);
    await scene.server.kill();
    await producer!.enqueue({ from: 1 });
    await sleep(1_000);
    await producer!.enqueue({ from: 2 });
    const [first, second] = await Promise.all([1, 2].map((n) => answerOf(producer!, n, 30_000)));
    return { first, second };
  },
  rows: [
    {
      says: "connected, then Redis is killed with -9: a call at that moment; one a second later",
      cell: ({ first, second }) => `${answered(first, 30)}; ${answered(second, 30)}`,
      target: patience,
      holds: ({ first, second }) => inTime(first) && inTime(second),
    },
  ],
});

const producerKilled = experiment({
  name: "producer-killed",
  durable: true,
  boundS: 90,
  async run(scene) {
    const [producer, worker] = await scene.hosts(2);
    await producer!.open(scene.server.url);
    await producer!.enqueue({ from: 0 });
    await answerOf(producer!, 0, 10_000);
    await scene.server.kill();
    await producer!.enqueue({ count: 100 });
    await comesTrue(() => producer!.answers.size === 101, 7_000);
    await producer!.kill();
    await scene.redisIsBack();
    await worker!.open(scene.server.url);
    await worker!.work(10);
    await comesTrue(() => reckon(100, producer!, [worker!]).lost === 0, 10_000);
    return reckon(100, producer!, [worker!]);
  },
  rows: [
    {
      says: "100 calls while Redis is away; 7 s later the producer is killed with -9, and Redis comes back",
      cell: ({ accepted, lost, unanswered }) =>
        `${accepted} accepted, ${lost} of them lost${unanswered > 0 ? `; ${unanswered} unanswered calls died with it` : ""}`,
      target: "none accepted is lost",
      holds: ({ lost, unanswered }) => lost === 0 && unanswered === 0,
    },
  ],
});

const load = experiment({
  name: "load",
  durable: true,
  boundS: 120,
  async run(scene) {
    const count = 800;
    const [producer, worker] = await scene.hosts(2);
    await producer!.open(scene.server.url);
    const enqueued = producer!.enqueue({ count, perSecond: 100 });
    await sleep(2_000);
    await scene.server.kill();
    await sleep(3_000);
    await scene.redisIsBack();
    await enqueued;
    await comesTrue(() => producer!.answers.size === count, 25_000);
    await worker!.open(scene.server.url);
    await worker!.work(50);
    await comesTrue(() => reckon(count, producer!, [worker!]).lost === 0, 20_000);
    await sleep(2_000);
    return reckon(count, producer!, [worker!]);
  },
  rows: [
    {
      says: "100 calls a second for 8 s; Redis killed for 3 s of them",
      cell: (all) => `${parts(all)}; slowest ${seconds(all.slowestMs)}; lost ${all.lost}, run twice ${all.runTwice}`,
      target: `${patience}; lost 0, run twice 0`,
      holds: ({ lost, runTwice, unanswered, slowestMs }) =>
        lost + runTwice + unanswered === 0 && slowestMs <= longestMs,
    },
  ],
});

export const producers = [
  neverUp,
  killed,
  producerKilled,
  load,
  lostReplies("lost-replies", false, "Redis runs 50 calls and the replies are lost; the connection is reset"),
  lostReplies("lost-replies-ids", true, "the same with ids of the caller's own"),
];

function lostReplies(name: string, withId: boolean, says: string): Experiment<unknown> {
  return experiment({
    name,
    durable: true,
    boundS: 90,
    async run(scene) {
      const [producer, worker] = await scene.hosts(2);
      await using proxy = await FaultProxy.to(scene.server.port);
      await producer!.open(proxy.url);
      await producer!.enqueue({ from: 1_000 });
      await answerOf(producer!, 1_000, 10_000);
      proxy.set({ kind: "dropReplies" });
      await producer!.enqueue({ count: 50, withId });
      await sleep(500);
      proxy.set({ kind: "pass" });
      proxy.reset();
      await comesTrue(() => producer!.answers.size === 51, 15_000);
      await worker!.open(scene.server.url);
      await worker!.work(10);
      await comesTrue(() => reckon(50, producer!, [worker!]).lost === 0, 10_000);
      await sleep(3_000);
      return reckon(50, producer!, [worker!]);
    },
    rows: [
      {
        says,
        cell: (all) => `${parts(all)}; run twice ${all.runTwice}`,
        target: "run twice 0, lost 0",
        holds: ({ runTwice, lost, unanswered }) => runTwice + lost + unanswered === 0,
      },
    ],
  });
}

/** Only the parts that there are. */
function parts({ accepted, refused, unanswered }: Reckoning): string {
  const all = { accepted, refused, unanswered };
  const there = Object.entries(all).filter(([, count]) => count > 0);
  return there.map(([word, count]) => `${count} ${word}`).join(", ");
}
