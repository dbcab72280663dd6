import { isUtf8 } from "node:buffer";
import { idsIn, read } from "../../hostile/judge.js";
import type { Peer } from "../../hostile/siege.js";
import { bytes, raw, type Snapshot } from "../../hostile/snapshot.js";
import { type GoReading, Witness } from "./witness.js";

/** By the name of its key in a hostile key space. */
const placeOf = {
  pending: "pending",
  active: "active",
  scheduled: "scheduled",
  retry: "retry",
  archived: "archived",
  completed: "completed",
  aggregating: "g:team",
} as const;
type Place = keyof typeof placeOf;
const states = Object.keys(placeOf) as Place[];

/** Go's asynq, who reads what is left of hostile key spaces: each list has an end, and every task in it that has a message is told. */
export class GoReader {
  /** Key spaces read, and tasks told in them. */
  spaces = 0;
  told = 0;
  readonly #go: Witness;

  static async on(server: { readonly port: number }): Promise<GoReader> {
    return new GoReader(await Witness.start(server));
  }

  private constructor(go: Witness) {
    this.#go = go;
  }

  readonly peer: Peer = async ({ queue }, before, left) => {
    const remains = new Remains(queue, before, left);
    const whole = states.filter((state) => !remains.isDamaged(placeOf[state]));
    const readable = new Map(whole.map((state) => [state, remains.readableIn(placeOf[state])]));
    const asked: GoReading = {
      queue,
      group: "team",
      // asynq measures a queue by some of its tasks.
      info: whole.length === states.length && remains.isCounted(),
      // One that says it is elsewhere is told of when it is its turn there.
      of: whole.map((state) => ({ state, ids: remains.textsOf(readable.get(state)!, state) })),
    };
    const { wrong, listed } = await this.#go.read(asked);
    this.spaces += 1;
    this.told += [...readable.values()].flat().length;
    const short = whole.filter((state) => listed[state] !== undefined && listed[state] !== readable.get(state)!.length);
    return [
      ...wrong,
      ...short.map((state) => `Go tells ${listed[state]} of ${readable.get(state)!.length} tasks in ${state}`),
    ];
  };

  close(): Promise<void> {
    return this.#go.kill();
  }
}

/** What is left of a queue, beside what was there before. */
export class Remains {
  readonly #queue: string;
  readonly #before: Snapshot;
  readonly #left: Snapshot;

  constructor(queue: string, before: Snapshot, left: Snapshot) {
    this.#queue = queue;
    this.#before = before;
    this.#left = left;
  }

  /** Ids of tasks that have a message. */
  readableIn(place: string): string[] {
    const ids = idsIn(this.#left.get(raw(`asynq:{${this.#queue}}:${place}`)));
    return ids.filter((id) => read(this.#fieldOf(id, "msg") ?? "ÿ") !== undefined);
  }

  /** Those of the ids that are text, of tasks that say they are in this state. */
  textsOf(ids: readonly string[], state: string): string[] {
    const own = ids.filter((id) => this.#fieldOf(id, "state") === state).map(bytes);
    return own.filter((id) => isUtf8(id)).map(String);
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
  isDamaged(place: string): boolean {
    const key = raw(`asynq:{${this.#queue}}:${place}`);
    const [was, is] = [this.#before.get(key), this.#left.get(key)];
    if (is?.type === "string" || is?.type === "hash") return was?.type === is.type;
    const before = new Set(idsIn(was));
    const isOdd = (id: string) => is?.type === "zset" && !/^-?\d{1,16}$/.test(is.scores.get(id)!);
    return idsIn(is).some((id) => (isOdd(id) || this.#fieldOf(id, "msg") === undefined) && before.has(id));
  }

  #fieldOf(id: string, name: string): string | undefined {
    const task = this.#left.get(`${raw(`asynq:{${this.#queue}}:t:`)}${id}`);
    return task?.type === "hash" ? task.fields.get(name) : undefined;
  }
}
