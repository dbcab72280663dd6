/** What becomes of work that is under way, and of workers that wait for some. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Experiment, experiment, orNever, seconds } from "../experiment.js";
import type { Host } from "../host.js";
import { answerOf, comesTrue, firstStart } from "../scene.js";

const settleBoundS = 75;

const inFlight = (name: string, outageS: number): Experiment<unknown> =>
  experiment({
    name,
    durable: true,
    boundS: outageS + 200,
    async run(scene) {
      const tasks = 10;
      const [first, second, onlooker] = await scene.hosts(3);
      const workers = [first!, second!];
      for (const worker of workers) {
        await worker.open(scene.server.url);
        await worker.work(10, 8_000);
      }
      await first!.enqueue({ count: tasks });
      await comesTrue(() => sum(workers, ({ starts }) => starts.size) === tasks, 10_000);
      await sleep(1_000);
      await scene.server.kill();
      await sleep(outageS * 1_000);
      await scene.redisIsBack();
      const backMs = performance.now();
      await onlooker!.open(scene.server.url);
      let left = await onlooker!.left();
      await comesTrue(async () => {
        left = await onlooker!.left();
        return left?.waiting === 0 && runsOf(workers) === sum(workers, ({ ends }) => ends);
      }, settleBoundS * 1_000);
      const settledMs = left?.waiting === 0 ? performance.now() - backMs : undefined;
      return { runs: runsOf(workers), settledMs, dead: left?.dead ?? 0 };
    },
    rows: [
      {
        says: `10 tasks of 8 s under way in 2 workers; Redis killed for ${outageS} s`,
        cell({ runs, settledMs, dead }) {
          const settled =
            settledMs === undefined ? `not within ${settleBoundS} s` : `${seconds(settledMs)} after Redis was back`;
          const failed = dead > 0 ? `; ${dead} counted as failed` : "";
          return `${runs} runs; all settled ${settled}${failed}`;
        },
        target: "10 runs",
        holds: ({ runs, settledMs, dead }) => runs === 10 && settledMs !== undefined && dead === 0,
      },
    ],
  });

const idle = (name: string, outageS: number): Experiment<unknown> =>
  experiment({
    name,
    durable: true,
    boundS: outageS + 120,
    async run(scene) {
      const [old, fresh] = await scene.hosts(2);
      await old!.open(scene.server.url);
      await old!.work(10);
      await old!.enqueue({ from: 1 });
      await comesTrue(() => old!.starts.has(1), 10_000);
      await sleep(1_000);
      await scene.server.kill();
      await sleep(outageS * 1_000);
      await scene.redisIsBack();
      const backMs = performance.now();
      await Promise.all([
        old!.enqueue({ from: 2 }),
        fresh!.open(scene.server.url).then(() => fresh!.enqueue({ from: 3 })),
      ]);
      const [resumedMs, answer] = await Promise.all([firstStart(old!, backMs, 30_000), answerOf(old!, 2, 30_000)]);
      return { resumedMs, answer };
    },
    rows: [
      {
        says: `an idle worker, Redis killed for ${outageS} s: from Redis' first answer to the first task`,
        cell: ({ resumedMs }) => orNever(resumedMs, 30),
        target: "< 2 s",
        holds: ({ resumedMs }) => resumedMs !== undefined && resumedMs < 2_000,
      },
      {
        says: "… and to the answer of a call that its process makes at that moment",
        cell: ({ answer }) =>
          answer === undefined ? "no answer in 30 s" : `${answer.ok ? "" : "refused after "}${seconds(answer.tookMs)}`,
        target: "accepted, < 2 s",
        holds: ({ answer }) => answer?.ok === true && answer.tookMs < 2_000,
      },
    ],
  });

const stopBoundS = 60;
/** What Holdfast waits for handlers at most, by default, to end and then to heed their signal; and 2 s to say goodbye. */
const stopDeadlineMs = 8_000 + 5_000 + 2_000;

const shutdown = experiment({
  name: "shutdown",
  durable: true,
  boundS: 120,
  async run(scene) {
    const [worker] = await scene.hosts(1);
    await worker!.open(scene.server.url);
    await worker!.work(10, 3_000);
    await worker!.enqueue({ count: 5 });
    await comesTrue(() => worker!.starts.size === 5, 10_000);
    await scene.server.kill();
    await sleep(1_000);
    return { stoppedMs: await worker!.stop(stopBoundS * 1_000) };
  },
  rows: [
    {
      says: "a worker's graceful stop while Redis is away, five handlers of 3 s under way",
      cell: ({ stoppedMs }) => orNever(stoppedMs, stopBoundS),
      target: "its configured deadline: 8 + 5 + 2 s",
      holds: ({ stoppedMs }) => stoppedMs !== undefined && stoppedMs <= stopDeadlineMs,
    },
  ],
});

export const workers = [
  inFlight("in-flight-10", 10),
  inFlight("in-flight-45", 45),
  shutdown,
  idle("idle-20", 20),
  idle("idle-90", 90),
];

const sum = (hosts: readonly Host[], of: (host: Host) => number) => hosts.reduce((total, host) => total + of(host), 0);

const runsOf = (hosts: readonly Host[]) => sum(hosts, ({ starts }) => [...starts.values()].flat().length);
