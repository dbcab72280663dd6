import { isUtf8 } from "node:buffer";
import { afterAll, beforeAll, expect, it } from "vitest";
import { idsIn, read } from "../../hostile/judge.js";
import { besiege, type Peer } from "../../hostile/siege.js";
import { bytes, raw, type Snapshot } from "../../hostile/snapshot.js";
import { goShift } from "./go-shift.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { Site } from "./site.js";
import type { GoTaskInfo, Witness } from "./witness.js";
import { seed } from "../../support/seed.js";

const spaces = Number(process.env["SPACES"] ?? 25);
const timeoutMs = Math.max(120_000, spaces * 500);
/** In so many of them a server of Go works: each takes it half a second. */
const shifts = Math.ceil(spaces / 5);
const states = ["pending", "active", "scheduled", "retry", "archived", "completed"] as const;
const places = [...states, "g:team"];

describeGo("what is left of a hostile key space", () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.open();
  }, buildTimeoutMs);
  afterAll(() => site.close());

  it(
    "can be read by Go: each list has an end, and every task in it that has a message is told",
    async () => {
      let told = 0;
      const peer: Peer = async ({ queue }, before, left) => {
        const reader = new Reader(site.go, queue, before, left);
        await reader.read();
        told += reader.told;
        return reader.wrong;
      };

      for (let n = 0; n < spaces; n += 1) await besiege(site.server.admin, site.broker, seed + n, peer);

      expect(told).toBeGreaterThan(0);
    },
    timeoutMs,
  );

  it(
    "is worked on by a server of Go: it recovers, forwards and forgets, and has nothing to complain of",
    async () => {
      let worked = 0;
      const peer: Peer = async ({ queue }, before, left) => {
        if (!new Reader(site.go, queue, before, left).isCounted(17)) return [];
        worked += 1;
        return goShift(site.broker, site.go, site.server.admin, [queue, "good"]);
      };

      for (let n = 0; worked < shifts; n += 1) await besiege(site.server.admin, site.broker, seed + n, peer);

      expect(worked).toBe(shifts);
    },
    timeoutMs,
  );
});

class Reader {
  readonly wrong: string[] = [];
  told = 0;
  readonly #go: Witness;
  readonly #queue: string;
  readonly #before: Snapshot;
  readonly #left: Snapshot;

  constructor(go: Witness, queue: string, before: Snapshot, left: Snapshot) {
    this.#go = go;
    this.#queue = queue;
    this.#before = before;
    this.#left = left;
  }

  async read(): Promise<void> {
    const queue = this.#queue;
    const isWhole = places.filter((place) => !this.#isDamaged(place));
    // asynq measures a queue by some of its tasks.
    if (isWhole.length === places.length && this.isCounted())
      await this.#ask("the queue", () => this.#go.inspect("queue", { queue }));
    for (const state of states.filter((one) => isWhole.includes(one))) {
      const ids = idsIn(this.#left.get(raw(`asynq:{${queue}}:${state}`)));
      const readable = ids.filter((id) => read(this.#fieldOf(id, "msg") ?? "ÿ") !== undefined);
      this.told += readable.length;
      // One that says it is elsewhere is told of when it is its turn there.
      const own = readable.filter((id) => this.#fieldOf(id, "state") === state).map(bytes);
      for (const id of own.filter((one) => isUtf8(one)).map(String))
        await this.#ask(`task ${id}`, () => this.#go.find(queue, id));
      const list = await this.#ask(`the list of ${state}`, () =>
        this.#go.inspect<GoTaskInfo[]>("list", { queue, state, size: 1_000 }),
      );
      if (list !== undefined && list.length !== readable.length)
        this.wrong.push(`Go tells ${list.length} of ${readable.length} tasks in ${state}`);
    }
  }

  /** A counter that was no count from the start stays so, and asynq gives up at it; where it counts on, also at a full one. */
  isCounted(digits = 20): boolean {
    const isCount = new RegExp(`^-?\\d{1,${digits}}$`);
    const days = [...this.#left.keys()].filter((key) => key.startsWith(raw(`asynq:{${this.#queue}}:`)));
    return days.every((key) => {
      const counter = /:(processed|failed)(:[\d-]+)?$/.test(key) ? this.#left.get(key) : undefined;
      return counter === undefined || (counter.type === "string" && isCount.test(counter.value));
    });
  }

  /** asynq gives up at an id without a task, a time that is none, a key of another type; what was there from the start may stay. */
  #isDamaged(place: string): boolean {
    const key = raw(`asynq:{${this.#queue}}:${place}`);
    const [was, is] = [this.#before.get(key), this.#left.get(key)];
    if (is?.type === "string" || is?.type === "hash") return was?.type === is.type;
    const before = new Set(idsIn(was));
    const isOdd = (id: string) => is?.type === "zset" && !/^-?\d{1,16}$/.test(is.scores.get(id)!);
    return idsIn(is).some((id) => (isOdd(id) || this.#fieldOf(id, "msg") === undefined) && before.has(id));
  }

  async #ask<T>(what: string, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      this.wrong.push(`Go cannot read ${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  #fieldOf(id: string, name: string): string | undefined {
    const task = this.#left.get(`${raw(`asynq:{${this.#queue}}:t:`)}${id}`);
    return task?.type === "hash" ? task.fields.get(name) : undefined;
  }
}
