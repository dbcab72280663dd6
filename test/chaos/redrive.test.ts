import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { connect } from "../../src/index.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { changeRedrive } from "../../src/deadletter/redrive/document.js";
import { newTask, settled } from "../support/builders.js";
import { seed } from "../support/seed.js";
import { seeded } from "../support/seeded.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const resources: AsyncDisposable[] = [];
const opened = <T extends AsyncDisposable>(resource: T): T => (resources.push(resource), resource);
afterEach(async () => {
  for (const resource of resources.splice(0).toReversed()) await resource[Symbol.asyncDispose]();
});

const random = seeded(seed);
const queue = "dead";
const tasks = 48;
/** So many processes are killed before one may end it; HOLDFAST_REDRIVE_KILLS for more. */
const kills = Number(process.env["HOLDFAST_REDRIVE_KILLS"] ?? 6);
const moments = ["before", "sent", "after"] as const;
/** Its tasks are let go of, it is written as ended, put away with those that are over, and taken from those that are not. */
const finishWrites = 4;

type Broker = ReturnType<typeof connect>;

async function die(broker: Broker, ids: readonly string[]): Promise<void> {
  await broker.enqueue(
    ids.map((id) => newTask({ id, queue, maxRetry: 0 })),
    broker.clock.nowMs(),
  );
  for (const task of await leased(broker)) {
    await broker.exchange({ settle: [settled.archived(task)] }, broker.clock.nowMs());
  }
}

let requests = 0;
async function leased(broker: Broker) {
  const requestId = `request-${(requests += 1)}`;
  const lease = { workerId: "w", requestId, queues: [queue], limit: 100, leaseMs: 60_000, suspects: 1 };
  return (await broker.exchange({ settle: [], lease }, broker.clock.nowMs())).leased;
}

/** The ids of each batch that was moved, as they were written with the deed. */
async function movedIds(server: RedisServer): Promise<string[]> {
  const entries = await server.admin.xrange(`holdfast:{${queue}}:audit`, "-", "+");
  return entries.flatMap(([, fields]) => {
    const value = (name: string) => fields[fields.indexOf(name) + 1]!;
    return value("verb") === "redrive" ? (JSON.parse(value("what")) as string[]) : [];
  });
}

describeRedis("a redrive whose processes are killed, and whose Redis is", () => {
  it(
    "moves each task once",
    async () => {
      const server = opened(await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } }));
      const broker = opened(connect(server.url, { log: silent, timeout: "2s" }));
      const ids = Array.from({ length: tasks }, (_, n) => `task-${n}`);
      await die(broker, ids);
      const { redrives } = new DeadLetters(broker);
      const { id } = await redrives.start(`queue:${queue}`, { rate: 5_000, ramp: "0s", canary: 3, inFlight: 6 });

      const ran: string[] = [];
      const workOff = async () => {
        const some = await leased(broker);
        await broker.exchange({ settle: some.map((task) => settled.completed(task)) }, broker.clock.nowMs());
        ran.push(...some.map(({ lease }) => lease.id));
      };
      const child = (...rest: readonly (string | number)[]) =>
        fork(join(import.meta.dirname, "redrive-child.mjs"), [server.url, id, ...rest.map(String)], { silent: true });
      // One is killed while it ends the redrive, whoever comes that far first: of the writes there at the n-th.
      const atFinish = 1 + Math.floor(random() * finishWrites);
      let finished = "";

      for (let n = 0; n < kills || (n === kills && finished === ""); n += 1) {
        const nth = n < kills ? 1 + Math.floor(random() * 9) : 0;
        const doomed = child(nth, moments[n % moments.length]!, finished === "" ? atFinish : 0);
        doomed.stdout!.on("data", (text) => (finished += String(text)));
        const ended = once(doomed, "close");
        let over = false;
        void ended.then(() => (over = true));
        if (n === Math.floor(kills / 2)) {
          await server.kill();
          await server.start();
        }
        await until(
          "it is dead, or has ended the redrive",
          async () => {
            await workOff();
            return over;
          },
          30_000,
        );
        // As if its time had run out.
        const desk = { store: broker.deadLetters, broker, nowMs: () => broker.clock.nowMs() };
        await changeRedrive(desk as unknown as Parameters<typeof changeRedrive>[0], id, (redrive) =>
          redrive.phase === "ended" ? undefined : { ...redrive, driver: undefined },
        );
      }
      expect(finished).toBe("finish");
      const last = child(0, "", 0);
      await until(
        "it is over",
        async () => {
          await workOff();
          return (await redrives.get(id)).phase === "ended";
        },
        30_000,
      );
      await once(last, "exit");

      expect((await movedIds(server)).toSorted()).toEqual(ids.toSorted());
      expect(ran.toSorted()).toEqual(ids.toSorted());
      const { counts, status } = await redrives.get(id);
      expect({ status, ...counts }).toMatchObject({
        status: "done",
        succeeded: tasks,
        left: 0,
        waiting: 0,
        notMoved: 0,
      });
      expect(await server.admin.hget(`asynq:{${queue}}:t:task-0`, "hf_redrives")).toBe("1");
      // Nothing of it stays for longer than it is to be looked at, and nobody drives it any more.
      for (const key of await server.admin.keys(`holdfast:{${queue}}:redrive*:${id}`))
        expect(await server.admin.pttl(key), key).toBeGreaterThan(0);
      expect(await server.admin.hget(`holdfast:{${queue}}:redrive-counts:${id}`, "ended")).toMatch(/^\d+$/);
      expect(await broker.deadLetters!.readDocuments("redrive")).toEqual([]);
      expect(await broker.deadLetters!.readDocuments("redrive-ended")).toHaveLength(1);
    },
    30_000 + kills * 8_000,
  );
});
