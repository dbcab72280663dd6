import type { Redis } from "ioredis";
import type { TaskState } from "../../../src/core/state.js";
import type { GoTask } from "./witness.js";

export const queue = "q";
export const group = "g";
/** What handlers fail with, and what they answer. */
export const boom = "boom";
export const result = Buffer.from("result");

/** asynq, or Holdfast, doing to one queue what both can do. What is not given away by its name is told. */
export interface Side {
  readonly admin: Redis;
  enqueue(task: GoTask): Promise<void>;
  /** Lease a task, and give it back unfinished. */
  release(): Promise<void>;
  /** Lease all that is pending, and settle it. `keep`: with a result; `skip`: failed for good. */
  work(how: "succeed" | "keep" | "fail" | "skip" | "revoke"): Promise<void>;
  promote(): Promise<void>;
  prune(): Promise<void>;
  reclaim(): Promise<void>;
  run(id: string): Promise<void>;
  archive(id: string): Promise<void>;
  delete(id: string): Promise<void>;
  runAll(state: TaskState): Promise<void>;
  archiveAll(state: TaskState): Promise<void>;
  deleteAll(state: TaskState): Promise<void>;
  update(id: string, payload: Uint8Array): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  drop(): Promise<void>;
  cancel(id: string): Promise<void>;
  /** A server says that it is there, and takes what is pending. */
  appear(): Promise<void>;
  /** It says again that it is there, and what it runs, and goes on holding it. */
  beat(): Promise<void>;
  /** It says that it goes. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

type Act = (side: Side) => Promise<void>;
export interface Operation {
  readonly name: string;
  readonly arrange: Act;
  readonly act: Act;
  /** Told as well: what servers say of themselves. */
  readonly withServers?: boolean;
}

const bytes = (text: string) => Buffer.from(text);
const task = (id: string, more: Partial<GoTask> = {}): GoTask => ({
  id,
  type: "t",
  payload: bytes("x"),
  queue,
  ...more,
});
const inAYear = Math.ceil(Date.now() / 1_000 + 31_536_000) * 1_000;
const hour = 3_600_000;

const put =
  (...tasks: GoTask[]): Act =>
  async (side) => {
    for (const one of tasks) await side.enqueue(one);
  };
const after =
  (...acts: Act[]): Act =>
  async (side) => {
    for (const act of acts) await act(side);
  };
const worked =
  (how: Parameters<Side["work"]>[0]): Act =>
  (side) =>
    side.work(how);
/** As a worker leaves it that died long ago. */
const crashed =
  (id: string): Act =>
  async ({ admin }) => {
    await admin.lrem(`asynq:{${queue}}:pending`, 1, id);
    await admin.lpush(`asynq:{${queue}}:active`, id);
    await admin.hset(`asynq:{${queue}}:t:${id}`, "state", "active");
    await admin.hdel(`asynq:{${queue}}:t:${id}`, "pending_since");
    await admin.zadd(`asynq:{${queue}}:lease`, Math.floor(Date.now() / 1_000) - 90, id);
  };
const grouped = (...ids: string[]) => put(...ids.map((id) => task(id, { group })));
/** Whatever waits there is due, or over. */
const due =
  (key: "scheduled" | "retry" | "completed"): Act =>
  async ({ admin }) => {
    for (const id of await admin.zrange(`asynq:{${queue}}:${key}`, 0, "-1"))
      await admin.zadd(`asynq:{${queue}}:${key}`, Math.floor(Date.now() / 1_000) - 5, id);
  };
/** A server runs a task. */
const beating = after(put(task("a")), (side) => side.appear());
/** So that a server does its duties, and leaves the tasks where they are. */
const paused: Act = async ({ admin }) => {
  await admin.set(`asynq:{${queue}}:paused`, "1");
};

const unique = { uniqueMs: hour };
const scheduled = { processAtMs: inAYear };
const kept = { retentionMs: hour };

/** How tasks come to each state. */
const states = {
  pending: put(task("a"), task("b")),
  scheduled: put(task("a", scheduled), task("b", scheduled)),
  retry: after(put(task("a"), task("b")), worked("fail")),
  archived: after(put(task("a"), task("b")), worked("skip")),
  completed: after(put(task("a", kept), task("b", kept)), worked("succeed")),
  aggregating: grouped("a", "b"),
} satisfies Partial<Record<TaskState, Act>>;

const operation = (name: string, arrange: Act, act: Act): Operation => ({ name, arrange, act });
const ofServer = (...given: Parameters<typeof operation>): Operation => ({ ...operation(...given), withServers: true });
const nothing: Act = async () => {};

function ofStates(
  verb: "run" | "archive" | "delete",
  of: readonly (keyof typeof states)[],
  all: readonly (keyof typeof states)[],
): Operation[] {
  const everything = `${verb}All` as const;
  return [
    ...of.map((state) => operation(`${verb}, ${state}`, states[state], (side) => side[verb]("a"))),
    ...all.map((state) => operation(`${verb} all, ${state}`, states[state], (side) => side[everything](state))),
  ];
}

export const operations: readonly Operation[] = [
  operation("enqueue", nothing, put(task("a"))),
  operation("enqueue, unique", nothing, put(task("a", unique))),
  operation("enqueue, unique, a duplicate", put(task("a", unique)), put(task("b", unique))),
  operation("enqueue, an id that is taken", put(task("a")), put(task("a"))),
  operation("enqueue, unique, an id that is taken", put(task("a")), put(task("a", unique))),
  operation("schedule", nothing, put(task("a", scheduled))),
  operation("schedule, unique", nothing, put(task("a", { ...scheduled, ...unique }))),
  operation("run: success", put(task("a")), worked("succeed")),
  operation("run: success, unique", put(task("a", unique)), worked("succeed")),
  operation("run: success, kept with its result", put(task("a", kept)), worked("keep")),
  operation("run: success, kept, unique", put(task("a", { ...kept, ...unique })), worked("keep")),
  operation("run: failure", put(task("a")), worked("fail")),
  operation("run: failure, unique", put(task("a", unique)), worked("fail")),
  operation("run: failure, the last one", put(task("a", { maxRetry: 0 })), worked("fail")),
  operation("run: failure for good", put(task("a", unique)), worked("skip")),
  operation("run: revoked", put(task("a", unique)), worked("revoke")),
  operation("run: given back by a worker that stops", put(task("a")), (side) => side.release()),
  operation("promote, scheduled", after(states.scheduled, due("scheduled"), paused), (side) => side.promote()),
  operation("promote, retry", after(states.retry, due("retry"), paused), (side) => side.promote()),
  operation("prune, completed", after(states.completed, due("completed"), paused), (side) => side.prune()),
  operation("reclaim", after(put(task("a")), crashed("a"), paused), (side) => side.reclaim()),
  operation("reclaim, no retry left", after(put(task("a", { maxRetry: 0 })), crashed("a"), paused), (side) =>
    side.reclaim(),
  ),
  ...ofStates(
    "run",
    ["scheduled", "retry", "archived", "completed", "aggregating"],
    ["scheduled", "retry", "archived", "aggregating"],
  ),
  ...ofStates(
    "archive",
    ["pending", "scheduled", "retry", "aggregating"],
    ["pending", "scheduled", "retry", "aggregating"],
  ),
  ...ofStates(
    "delete",
    ["pending", "scheduled", "retry", "archived", "completed", "aggregating"],
    ["pending", "scheduled", "retry", "archived", "completed", "aggregating"],
  ),
  operation("delete, unique", put(task("a", unique)), (side) => side.delete("a")),
  operation("delete all, pending, unique", put(task("a", unique)), (side) => side.deleteAll("pending")),
  operation("another payload, scheduled and unique", put(task("a", { ...scheduled, ...unique })), (side) =>
    side.update("a", bytes("y")),
  ),
  operation("cancel", after(put(task("a")), crashed("a")), (side) => side.cancel("a")),
  operation("pause", states.pending, (side) => side.pause()),
  operation("resume", after(states.pending, paused), (side) => side.resume()),
  operation(
    "drop, with all that is in it",
    after(
      states.retry,
      put(task("c", kept)),
      worked("succeed"),
      put(task("d", unique), task("e", scheduled)),
      grouped("f"),
    ),
    (side) => side.drop(),
  ),
  ofServer("a server comes", nothing, (side) => side.appear()),
  ofServer("a server's beat, with a task that it runs: the lease is extended", beating, (side) => side.beat()),
  ofServer(
    "a server goes",
    (side) => side.appear(),
    (side) => side.leave(),
  ),
];
