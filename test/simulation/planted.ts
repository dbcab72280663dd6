import type { Incarnation } from "../../src/broker/incarnation.js";
import { Breaker } from "../../src/client/breaker.js";
import { Endpoint } from "../../src/client/endpoint.js";
import type { NewTask } from "../../src/core/message.js";
import { Replicas } from "../../src/redis/replicas.js";
import { Delivery } from "../../src/spool/delivery.js";
import { Doorbell } from "../../src/spool/doorbell.js";
import { LocalSpool } from "../../src/spool/local-spool.js";
import { ReleaseRule, type Trust } from "../../src/spool/release.js";
import { Troubles } from "../../src/spool/troubles.js";
import { Model } from "../model/model.js";
import { SimBroker } from "./broker.js";
import { Data } from "./data.js";
import { SimStore } from "./disk.js";
import { longestSilenceMs } from "./follower.js";
import { Road } from "./road.js";

/** A bug that somebody might build. */
export interface Planted {
  readonly bug: string;
  /** One of these invariants shows it. */
  readonly breaks: readonly string[];
  /** The first seed that finds it, where that is not among the first ten, so that nobody waits for those before. */
  readonly from?: number;
  /** Answers what takes it out again. */
  readonly plant: () => () => void;
}

// oxlint-disable-next-line typescript/no-explicit-any -- a method as it is, whatever it takes
type Method = (this: any, ...args: any[]) => any;

/** In place of a method, which is given along. */
function instead<T extends object>(owner: { readonly prototype: T }, name: keyof T, make: (real: Method) => Method) {
  return () => {
    const { prototype } = owner;
    const before = Object.getOwnPropertyDescriptor(prototype, name)!;
    Object.defineProperty(prototype, name, { ...before, value: make(before.value as Method) });
    return () => void Object.defineProperty(prototype, name, before);
  };
}

/** A release rule that is told something else than what there is. */
function misled(changes: { found?: (found: Incarnation) => Incarnation; trust?: (trust: Trust) => Trust }) {
  const { found: changed = (found) => found, trust: other = (trust) => trust } = changes;
  return instead(
    ReleaseRule,
    "look",
    (real) =>
      function (queue, found: Incarnation | undefined, askedMs, trust) {
        return real.call(this, queue, found && changed(found), askedMs, other(trust));
      },
  );
}

const aloneAfter =
  (change: (ms: number) => number) =>
  (found: Incarnation): Incarnation => ({
    ...found,
    replicas: found.replicas && { ...found.replicas, aloneAfterMs: change(found.replicas.aloneAfterMs) },
  });

function alwaysIs<T extends object>(owner: { readonly prototype: T }, name: keyof T, value: unknown) {
  return () => {
    const { prototype } = owner;
    const before = Object.getOwnPropertyDescriptor(prototype, name)!;
    Object.defineProperty(prototype, name, { ...before, get: () => value });
    return () => void Object.defineProperty(prototype, name, before);
  };
}

let copies = 0;

export const planted: readonly Planted[] = [
  // The release rule
  {
    bug: "a task leaves the spool as soon as it is answered",
    breaks: ["released early"],
    plant: misled({ trust: () => ({ afterMs: 0, afterSave: false }) }),
  },
  {
    bug: "other data than before go unnoticed",
    breaks: ["released early", "lost"],
    from: 39,
    plant: misled({ found: (found) => ({ ...found, id: "the same" }) }),
  },
  {
    bug: "tasks do not wait for the snapshot that has them",
    breaks: ["released early"],
    from: 9,
    plant: misled({ trust: (trust) => ({ ...trust, afterSave: false }) }),
  },
  {
    bug: "tasks do not wait for replicas",
    breaks: ["released early", "lost"],
    plant: misled({ found: (found) => ({ ...found, replicas: undefined }) }),
  },
  {
    bug: "one replica that has a task is enough",
    breaks: ["released early", "lost"],
    from: 197,
    plant: instead(
      Replicas,
      "look",
      (real) =>
        function (runId, info: Record<string, string>, askedMs) {
          const offsetOf = (line: string) => Number(/offset=(\d+)/.exec(line)?.[1]);
          const { master_repl_offset, ...slaves } = info;
          const [furthest] = Object.entries(slaves).toSorted(([, a], [, b]) => offsetOf(b) - offsetOf(a));
          return real.call(
            this,
            runId,
            { master_repl_offset, ...Object.fromEntries(furthest === undefined ? [] : [furthest]) },
            askedMs,
          );
        },
    ),
  },
  {
    bug: "a replica that is cut off is forgotten at once",
    breaks: ["released early", "lost"],
    from: 197,
    plant: () => {
      const forgetful = new WeakMap<Replicas, Replicas>();
      return instead(
        Replicas,
        "look",
        (real) =>
          function (...args) {
            if (!forgetful.has(this)) forgetful.set(this, new Replicas(() => -1));
            return real.apply(forgetful.get(this), args);
          },
      )();
    },
  },
  {
    bug: "what a server alone has need not wait",
    breaks: ["released early", "lost"],
    plant: misled({ found: aloneAfter(() => 0) }),
  },
  {
    bug: "whoever hears nothing any more is thought to know it at once",
    breaks: ["released early", "lost"],
    from: 1_120,
    plant: misled({ found: aloneAfter((ms) => ms - longestSilenceMs) }),
  },
  // The spool
  {
    bug: "what is to be sent again is not",
    breaks: ["endless", "lost"],
    plant: instead(Delivery, "rewind", () => () => undefined),
  },
  {
    bug: "a queue that goes on again leaves out what waited",
    breaks: ["endless"],
    plant: instead(
      Troubles,
      "resume",
      (real) =>
        function (queue, first) {
          real.call(this, queue, first);
          return Number.MAX_SAFE_INTEGER;
        },
    ),
  },
  {
    bug: "a ring is lost while nobody waits",
    breaks: ["endless"],
    plant: instead(
      Doorbell,
      "wait",
      (real) =>
        function (ms) {
          return real.call(new Doorbell(), ms);
        },
    ),
  },
  {
    bug: "a task that is sent again has a new id",
    breaks: ["duplicate"],
    plant: instead(
      SimStore,
      "read",
      (real) =>
        async function (...args) {
          const rows = await real.apply(this, args);
          return rows.map((row: { task: NewTask }) => ({
            ...row,
            task: { ...row.task, message: { ...row.task.message, id: `${row.task.message.id}-${(copies += 1)}` } },
          }));
        },
    ),
  },
  {
    bug: "what is sent again does not say so",
    breaks: ["rerun", "duplicate", "lost"],
    plant: instead(
      SimBroker,
      "enqueue",
      (real) =>
        function (tasks: NewTask[], ...rest) {
          return real.call(
            this,
            tasks.map((task) => ({ ...task, repeat: false })),
            ...rest,
          );
        },
    ),
  },
  {
    bug: "what is enqueued passes what waits in the spool",
    breaks: ["order"],
    plant: instead(LocalSpool, "holds", () => () => false),
  },
  {
    bug: "delivery is not told that a task waits",
    breaks: ["endless"],
    plant: instead(Delivery, "goOn", () => () => undefined),
  },
  {
    bug: "tasks go out while an earlier one of their queue has to wait",
    breaks: ["order"],
    plant: instead(Troubles, "lane", () => () => undefined),
  },
  {
    bug: "a task is accepted before it is on the disk",
    breaks: ["lost"],
    plant: instead(
      SimStore,
      "append",
      (real) =>
        function (...args) {
          real.apply(this, args).catch(() => undefined);
          return Promise.resolve(Number.MAX_SAFE_INTEGER);
        },
    ),
  },
  {
    bug: "what a dead process left is forgotten",
    breaks: ["lost"],
    from: 11,
    plant: instead(SimStore, "take", () => () => undefined),
  },
  // The breaker and the calls
  {
    bug: "a breaker never closes",
    breaks: ["endless"],
    plant: instead(
      Breaker,
      "probed",
      (real) =>
        function (sign, problem, nowMs) {
          return real.call(this, sign === "well" ? "away" : sign, problem, nowMs);
        },
    ),
  },
  {
    bug: "an open breaker is not probed",
    breaks: ["endless"],
    plant: alwaysIs(Breaker, "probeAtMs", Number.POSITIVE_INFINITY),
  },
  {
    bug: "an open breaker lets calls through",
    breaks: ["breaker"],
    plant: () => {
      const undo = [alwaysIs(Endpoint, "usable", true)(), alwaysIs(Endpoint, "well", true)()];
      return () => undo.forEach((one) => one());
    },
  },
  {
    bug: "a breaker closes without a probe",
    breaks: ["breaker"],
    plant: instead(
      Breaker,
      "heard",
      (real) =>
        function (sign, problem, startedAtMs, nowMs) {
          real.call(this, sign, problem, startedAtMs, nowMs);
          if (this.state === "open") this.probed("well", "", nowMs);
        },
    ),
  },
  {
    bug: "a call waits for storage beyond its time",
    breaks: ["unsettled-call"],
    plant: instead(
      Endpoint,
      "usableBefore",
      (real) =>
        function (untilMs) {
          return real.call(this, untilMs + 60_000);
        },
    ),
  },
  {
    bug: "a call that comes late is carried out",
    breaks: ["unexpected", "rerun", "duplicate"],
    from: 101,
    plant: instead(
      Road,
      "call",
      (real) =>
        function (call) {
          this.fenced = false;
          return real.call(this, call);
        },
    ),
  },
  // The worker
  {
    bug: "outcomes are dropped when storage comes back",
    breaks: ["dropped"],
    plant: instead(
      SimBroker,
      "exchange",
      (real) =>
        async function (turn, nowMs) {
          try {
            return await real.call(this, turn, nowMs);
          } catch (error) {
            if (turn.settle.length === 0) throw error;
            return { settled: turn.settle.map(() => "settled"), leased: [], more: true, dry: [], paused: [] };
          }
        },
    ),
  },
  {
    bug: "an outcome of a part that is away counts as settled",
    breaks: ["dropped"],
    plant: instead(
      SimBroker,
      "exchange",
      (real) =>
        async function (turn, nowMs) {
          const reply = await real.call(this, turn, nowMs);
          return { ...reply, settled: turn.settle.map(() => "settled") };
        },
    ),
  },
  {
    bug: "leases are not renewed",
    breaks: ["duplicate"],
    plant: instead(Data, "renew", () => () => []),
  },
  {
    bug: "a worker that has lost its lease settles all the same",
    breaks: ["stale-write", "duplicate", "rerun"],
    from: 38,
    plant: instead(
      Model,
      "holds",
      () =>
        function ({ queue, id }) {
          const task = this.tasks.get(`${queue} ${id}`);
          return task?.state === "active" ? task : undefined;
        },
    ),
  },
  {
    bug: "what is scheduled comes early",
    breaks: ["early"],
    plant: instead(
      Data,
      "promote",
      (real) =>
        function (queues, limit, nowMs) {
          return real.call(this, queues, limit, nowMs + 4_000);
        },
    ),
  },
];
