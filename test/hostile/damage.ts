import { encodeMessage } from "../../src/core/codec.js";
import { uniqueKey } from "../../src/core/message.js";
import { message } from "../support/builders.js";
import { raw } from "./snapshot.js";

/** A hostile key space, as the commands that make it. */
export type Command = readonly [string, ...(string | number | Buffer)[]];

export interface World {
  /** Of which the keys are damaged; `good` beside it is not. */
  readonly queue: string;
  readonly commands: readonly Command[];
  /** What each record is, in words, by its id in Latin-1. */
  readonly records: ReadonlyMap<string, string>;
  /** Healthy tasks wait behind a key of the wrong type: its name, and the commands that put it there. */
  readonly obstacles: readonly { readonly key: string; readonly commands: readonly Command[] }[];
}

export const oddQueues = [
  "bad",
  "a:b",
  "x{y}",
  "}x",
  "a}:t:x",
  "{}",
  "*",
  "q?[a-z]",
  "два 队列 🚚",
  "with space",
  "line\nbreak",
  "../..%2f",
  "\u202egnp.exe",
  "n".repeat(1_000),
];

const sets = ["scheduled", "retry", "archived", "completed"] as const;
const states = ["pending", "active", "aggregating", ...sets] as const;

/** Draws from a seed what a queue's keys hold. */
export class Damage {
  readonly #random: () => number;
  readonly #nowS: number;
  readonly #prefix: Buffer;
  readonly #ours: Buffer;
  readonly #queue: string;
  readonly #commands: Command[] = [];
  readonly #records = new Map<string, string>();
  #count = 0;

  constructor(random: () => number, queue: string, nowS: number) {
    this.#random = random;
    this.#nowS = nowS;
    this.#queue = queue;
    this.#prefix = Buffer.from(`asynq:{${queue}}:`);
    this.#ours = Buffer.from(`holdfast:{${queue}}:`);
  }

  make(): World {
    for (let n = 3 + this.#below(12); n > 0; n -= 1) this.#pick(this.#kinds)();
    if (this.#below(3) === 0) this.#counters();
    if (this.#below(3) === 0) this.#ownKeys();
    const obstacles = this.#below(4) === 0 ? this.#obstacles() : [];
    return { queue: this.#queue, commands: this.#commands, records: this.#records, obstacles };
  }

  readonly #kinds: readonly (() => void)[] = [
    () => this.#ghost(),
    () => this.#notAHash(),
    () => this.#misplaced(),
    () => this.#misplaced(),
    () => this.#twice(),
    () => this.#twice(),
    () => this.#undecodable(),
    () => this.#oddFields(),
    () => this.#oddFields(),
    () => this.#withoutLease(),
    () => this.#withoutPart(),
  ];

  /** An id in a list or set, or several, of which there is no task. */
  #ghost(): void {
    const id = this.#id("ghost");
    for (let n = 1 + this.#below(2); n > 0; n -= 1) this.#put(this.#pick(states), id);
  }

  #notAHash(): void {
    const id = this.#id("a task's key of another type");
    const key = this.#task(id);
    this.#pick([
      () => this.#do("SET", key, "in the way"),
      () => this.#do("RPUSH", key, "in", "the", "way"),
      () => this.#do("SADD", key, "in the way"),
      () => this.#do("ZADD", key, 1, "in the way"),
    ])();
    this.#put(this.#pick(states), id);
  }

  /** One place, and a state that says another. */
  #misplaced(): void {
    const id = this.#id("in another place than its state says");
    this.#hash(id, { state: this.#state() });
    this.#put(this.#pick(states), id);
  }

  #twice(): void {
    const id = this.#id("in two places");
    const [one, other] = [this.#pick(states), this.#pick(states)];
    this.#hash(id, { state: this.#below(2) === 0 ? one : other });
    this.#put(one, id);
    this.#put(other, id);
  }

  #undecodable(): void {
    const id = this.#id("undecodable");
    const good = encodeMessage(message({ id: "x", queue: this.#queue, payload: Buffer.from("payload") }));
    const msg = this.#pick([
      Buffer.from("ff", "hex"),
      Buffer.from("0a02c328", "hex"),
      Buffer.from("12ffffffff07", "hex"),
      good.subarray(0, 20),
      Buffer.from('{"type":"json"}'),
      Buffer.alloc(0),
    ]);
    const state = this.#pick(states);
    this.#hash(id, { msg, state });
    this.#put(state, id);
  }

  #oddFields(): void {
    const id = this.#id("with strange fields");
    const number = () => this.#pick(["abc", "", "-5", "nan", "inf", "1e400", "0x10", "2", "3", "1.5", "9".repeat(30)]);
    const fields: Record<string, () => string> = {
      hf_crashes: number,
      hf_returns: number,
      hf_once: () => this.#pick(["1", "yes", ""]),
      hf_failure: () =>
        this.#pick(["", "null", "[]", '{"reason":5}', '{"reason":"failed","message":{}}', "\u0000\u00ff"]),
      hf_cancel: () => this.#pick(["", "retry", "archive", "explode"]),
      hf_progress: () => this.#pick(["", "{", "[".repeat(2_000), "null"]),
      pending_since: () => this.#pick(["", "soon", "-1", "1.7e18", "9".repeat(40)]),
      unique_key: () => this.#pick(["", "not a lock", "asynq:queues"]),
      result: () => "\u0000\u00ff",
      other: () => "of somebody else",
    };
    const chosen = Object.entries(fields).filter(() => this.#below(3) === 0);
    const state = this.#pick(states);
    this.#hash(id, { state, ...Object.fromEntries(chosen.map(([name, value]) => [name, value()])) });
    this.#put(state, id);
  }

  #withoutLease(): void {
    const id = this.#id("active or leased alone");
    this.#hash(id, { state: "active" });
    if (this.#below(2) === 0) this.#do("LPUSH", this.#key("active"), id);
    else this.#do("ZADD", this.#key("lease"), this.#score(), id);
  }

  #withoutPart(): void {
    const id = this.#id("without msg, or state, or a place");
    const state = this.#pick(states);
    this.#pick([
      () => this.#do("HSET", this.#task(id), "state", state),
      () => this.#do("HSET", this.#task(id), "hf_failure", "{}"),
      () => this.#do("HSET", this.#task(id), "msg", this.#message()),
      () => this.#hash(id, { state }),
    ])();
    if (this.#below(3) > 0) this.#put(state, id);
  }

  #counters(): void {
    const day = new Date(this.#nowS * 1_000).toISOString().slice(0, 10);
    for (const name of ["processed", "failed", `processed:${day}`, `failed:${day}`]) {
      if (this.#below(2) > 0) continue;
      if (this.#below(8) === 0) {
        this.#pick([() => this.#do("SADD", this.#key(name), "7"), () => this.#do("SET", this.#key(name), "many")])();
        continue;
      }
      const value = this.#pick(["9223372036854775807", "9223372036854775806", "-1", "-9223372036854775808", "0", "7"]);
      this.#do("SET", this.#key(name), value);
    }
  }

  #ownKeys(): void {
    this.#pick([
      () => this.#do("HSET", Buffer.concat([this.#ours, Buffer.from("leases")]), "nobody", "token:1", "", "x"),
      () => this.#do("LPUSH", Buffer.concat([this.#ours, Buffer.from("broken")]), "of old"),
      () => this.#do("ZADD", Buffer.concat([this.#ours, Buffer.from("archived")]), "-inf", "of old"),
      () => this.#do("HSET", Buffer.concat([this.#ours, Buffer.from("unleased")]), "nobody", "never"),
      () => this.#do("SET", Buffer.concat([this.#ours, Buffer.from("req:w:0")]), "no list"),
      () => this.#do("SET", Buffer.concat([this.#prefix, Buffer.from("g:team")]), "no group"),
    ])();
  }

  /** Put in the place of a key for a while, one after the other, what has no business there. */
  #obstacles(): World["obstacles"] {
    const day = new Date(this.#nowS * 1_000).toISOString().slice(0, 10);
    const [suffix, right] = this.#pick(
      Object.entries({
        "asynq pending": "RPUSH",
        "asynq active": "RPUSH",
        "asynq lease": "ZADD",
        "asynq groups": "SADD",
        "asynq processed": "SET",
        "asynq paused": "SET",
        [`asynq failed:${day}`]: "SET",
        ...Object.fromEntries(sets.map((name) => [`asynq ${name}`, "ZADD"])),
        "holdfast leases": "HSET",
        "holdfast unleased": "HSET",
        "holdfast archived": "ZADD",
        "holdfast broken": "RPUSH",
        "holdfast pause": "HSET",
        "holdfast audit": "XADD",
      }),
    );
    const key = raw(suffix.replace(" ", `:{${this.#queue}}:`));
    const name = Buffer.from(key, "latin1");
    const commands: readonly Command[] = [
      ["SET", name, "no number"],
      ["SADD", name, "x"],
      ["RPUSH", name, "x"],
      ["ZADD", name, 1, "x"],
      ["HSET", name, "x", "y"],
    ];
    return [{ key, commands: [this.#pick(commands.filter(([command]) => command !== right))] }];
  }

  #hash(id: Buffer, fields: Record<string, string | Buffer>): void {
    const all = { msg: this.#message(this.#below(4) === 0 ? this.#lock(id) : ""), ...fields };
    if (fields["state"] === "aggregating") Object.assign(all, { group: "team" });
    this.#do("HSET", this.#task(id), ...Object.entries(all).flat());
  }

  /** Its own unique lock as a message names it: held by the task, by another one, by nobody, or no lock at all. */
  #lock(id: Buffer): string {
    const lock = uniqueKey(this.#queue, "t", Buffer.from(`payload of ${this.#count}`));
    this.#pick([
      () => this.#do("SET", lock, id),
      () => this.#do("SET", lock, id, "EX", 1_000),
      () => this.#do("SET", lock, "another"),
      () => this.#do("RPUSH", lock, "no lock"),
      () => undefined,
    ])();
    if (this.#below(2) === 0) this.#do("HSET", this.#task(id), "unique_key", lock);
    return lock;
  }

  /** A message with numbers at their edges, and names that are not those of its place. */
  #message(lock = ""): Buffer {
    const edge = () => this.#pick([0, 1, 2_147_483_647]);
    const timeS = () => this.#pick([0, 1, 4_294_967_296, 8_640_000_000_000]) * 1_000;
    return encodeMessage(
      message({
        id: this.#pick(["another", "", `m${this.#count}`]),
        queue: lock === "" ? this.#pick([this.#queue, "elsewhere", ""]) : this.#queue,
        type: lock === "" ? this.#pick(["t", "", "x".repeat(5_000)]) : "t",
        payload: Buffer.from(`payload of ${this.#count}`),
        maxRetry: edge(),
        retried: edge(),
        timeoutMs: timeS(),
        deadlineMs: timeS(),
        retentionMs: this.#pick([0, 0, 1_000, 8_640_000_000_000_000]),
        lastFailedAtMs: timeS(),
        uniqueKey: lock === "" ? this.#pick(["", "", "holdfast:no-lock"]) : lock,
      }),
    );
  }

  #put(place: string, id: Buffer): void {
    const key = this.#key(place);
    if (place === "pending") {
      for (let n = this.#below(4) === 0 ? 3 : 1; n > 0; n -= 1) {
        this.#do(this.#below(2) === 0 ? "LPUSH" : "RPUSH", key, id);
      }
    } else if (place === "active") {
      this.#do("LPUSH", key, id);
      this.#do("ZADD", this.#key("lease"), this.#score(), id);
      if (this.#below(3) === 0) this.#do("HSET", Buffer.concat([this.#ours, Buffer.from("leases")]), id, "token:12");
    } else if (place === "aggregating") {
      this.#do("ZADD", this.#key("g:team"), this.#score(), id);
      this.#do("SADD", this.#key("groups"), "team");
    } else {
      this.#do("ZADD", key, this.#score(), id);
    }
  }

  #score(): string {
    const now = this.#nowS;
    const odd = ["inf", "-inf", "1e300", "-5", "0", `${now * 1e6}`, `${now - 5}.25`, `${now + 5}.75`];
    return this.#below(2) === 0 ? this.#pick(odd) : `${now - 100 + this.#below(200)}`;
  }

  #state(): string {
    return this.#pick([...states, ...states, "weird", "", "\u0000", "ACTIVE", "toString", "__proto__"]);
  }

  #id(what: string): Buffer {
    this.#count += 1;
    const id = this.#pick([
      Buffer.from(`id-${this.#count}`),
      Buffer.from(`id-${this.#count}`),
      Buffer.from(`0192d3c4-0000-7000-8000-${String(this.#count).padStart(12, "0")}`),
      Buffer.from(`\r\n\u0000"'${this.#count}`),
      Buffer.from(`${this.#count}:{x}:t:*`),
      Buffer.from(`${this.#count} 任务 🚚`),
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(String(this.#count))]),
      Buffer.from(`${this.#count}`.padStart(10_000, "i")),
    ]);
    this.#records.set(id.toString("latin1"), what);
    return id;
  }

  #do(name: string, ...args: (string | number | Buffer)[]): void {
    this.#commands.push([name, ...args]);
  }

  #task = (id: Buffer) => Buffer.concat([this.#prefix, Buffer.from("t:"), id]);
  #key = (name: string) => Buffer.concat([this.#prefix, Buffer.from(name)]);
  #below = (limit: number) => Math.floor(this.#random() * limit);
  #pick = <T>(from: readonly T[]): T => from[this.#below(from.length)]!;
}
