import { readStrictly } from "../support/strict-protobuf.js";
import type { World } from "./damage.js";
import { type Content, raw, type Snapshot } from "./snapshot.js";

const states = new Set(["pending", "active", "scheduled", "retry", "archived", "completed", "aggregating"]);
const places = ["pending", "active", "lease", "scheduled", "retry", "archived", "completed", "g:team"];

/** What was done to damaged tasks, by their ids in Latin-1. */
export interface Done {
  readonly completed: ReadonlySet<string>;
  readonly deleted: ReadonlySet<string>;
  /** What they were given instead of their own. */
  readonly payloads: ReadonlyMap<string, readonly Buffer[]>;
}

/** What is wrong with a key space after all has come to rest. */
export function breaches(world: World, before: Snapshot, after: Snapshot, done: Done): string[] {
  const judge = new Judge(world, before, after, done);
  return [...judge.lost(), ...judge.unreadable(), ...judge.unfinished()];
}

class Judge {
  readonly #world: World;
  readonly #before: Snapshot;
  readonly #after: Snapshot;
  readonly #done: Done;
  readonly #asynq: string;
  readonly #ours: string;

  constructor(world: World, before: Snapshot, after: Snapshot, done: Done) {
    this.#world = world;
    this.#before = before;
    this.#after = after;
    this.#done = done;
    this.#asynq = raw(`asynq:{${world.queue}}:`);
    this.#ours = raw(`holdfast:{${world.queue}}:`);
  }

  /** Nothing that was there is gone: it ran, or it is somewhere, or its id is among the broken ones. */
  lost(): string[] {
    return [...this.#world.records].flatMap(([id, what]) => {
      if (this.#done.completed.has(id) || this.#done.deleted.has(id)) return [];
      const [task, now] = [this.#before.get(this.#task(id)), this.#after.get(this.#task(id))];
      const [from, to] = [this.#placesOf(id, this.#before), this.#placesOf(id, this.#after)];
      const picture = `${JSON.stringify(id.slice(0, 40))} (${what}; ${shown(task)}) came from [${from.join()}] to [${to.join()}], ${shown(now)}`;
      if (task === undefined) {
        if (now !== undefined) return [`a task out of nothing: ${picture}`];
        // Of a ghost whose time to be forgotten has come there is nothing to keep.
        return from.length > 0 && to.length === 0 && !from.includes("completed") ? [`forgotten: ${picture}`] : [];
      }
      if (now === undefined) return this.#expired(id) ? [] : [`lost: ${picture}`];
      if (from.length > 0 && to.length === 0) return [`out of every list: ${picture}`];
      return this.#kept(id, task, now) ? [] : [`changed: ${picture}`];
    });
  }

  /** A peer can read all that was written: whole scores, known states, valid messages. */
  unreadable(): string[] {
    return [...this.#after].flatMap(([key, now]) => {
      if (!key.startsWith(this.#asynq)) return [];
      const was = this.#before.get(key);
      if (now.type === "zset") {
        const old = was?.type === "zset" ? was.scores : new Map<string, string>();
        return [...now.scores]
          .filter(([id, score]) => old.get(id) !== score && !/^\d{1,16}$/.test(score))
          .map(([id, score]) => `score ${score} of ${JSON.stringify(id.slice(0, 40))} in ${key}`);
      }
      if (now.type !== "hash") return [];
      const old = was?.type === "hash" ? was.fields : new Map<string, string>();
      return [...now.fields]
        .filter(([name, value]) => old.get(name) !== value && !isReadable(name, value, old.get(name)))
        .map(
          ([name, value]) => `${name} ${JSON.stringify(value.slice(0, 200))} in ${JSON.stringify(key.slice(0, 80))}`,
        );
    });
  }

  /** Nobody runs anything any more, so nothing is held; and what could run, did. */
  unfinished(): string[] {
    return ["active", "lease", "pending"].flatMap((place) => {
      const left = idsIn(this.#after.get(this.#asynq + place));
      return left.map(
        (id) => `${JSON.stringify(id.slice(0, 40))} (${this.#world.records.get(id) ?? "healthy"}) is still in ${place}`,
      );
    });
  }

  #task = (id: string) => `${this.#asynq}t:${id}`;

  #placesOf(id: string, space: Snapshot): string[] {
    const keys = [
      ...places.map((place) => [place, this.#asynq + place] as const),
      ["archived aside", `${this.#ours}archived`] as const,
      ["broken", `${this.#ours}broken`] as const,
    ];
    return keys.filter(([, key]) => idsIn(space.get(key)).includes(id)).map(([place]) => place);
  }

  /** A completed task past its retention. */
  #expired(id: string): boolean {
    const task = this.#before.get(this.#task(id));
    return (
      task?.type === "hash" &&
      task.fields.get("state") === "completed" &&
      idsIn(this.#before.get(`${this.#asynq}completed`)).includes(id)
    );
  }

  #kept(id: string, was: Content, now: Content): boolean {
    if (was.type !== "hash" || now.type !== "hash") return JSON.stringify(was) === JSON.stringify(now);
    const payloads = this.#done.payloads.get(id) ?? [];
    const [old, fresh] = [was.fields.get("msg"), now.fields.get("msg")];
    // With the payload goes the lock that stood for it.
    const fields = payloads.length > 0 ? ["other", "group"] : ["other", "group", "unique_key"];
    const others = fields.every((name) => was.fields.get(name) === now.fields.get(name));
    return others && (old === fresh || (old !== undefined && fresh !== undefined && isSameTask(old, fresh, payloads)));
  }
}

function isReadable(name: string, value: string, old: string | undefined): boolean {
  if (name === "state") return states.has(value);
  if (name === "pending_since") return /^\d{19}$/.test(value);
  if (name === "hf_crashes" || name === "hf_returns") return /^\d{1,9}$/.test(value);
  if (name === "hf_failure") return typeof JSON.parse(Buffer.from(value, "latin1").toString()).message === "string";
  if (name !== "msg") return true;
  // What nobody could read before may have got its last words appended.
  return read(value) !== undefined || (old !== undefined && read(old) === undefined);
}

function isSameTask(old: string, fresh: string, payloads: readonly Buffer[]): boolean {
  const [a, b] = [read(old), read(fresh)];
  if (a === undefined || b === undefined) return fresh.startsWith(old);
  const texts = payloads.length > 0 ? [1, 3, 4, 14] : [1, 3, 4, 10, 14];
  return (
    texts.every((number) => a.texts.get(number) === b.texts.get(number)) &&
    [a.payload, ...payloads].some((payload) => b.payload.equals(payload))
  );
}

/** As a strict reader has it; undefined where it cannot be read. */
export function read(message: string) {
  try {
    return readStrictly(Buffer.from(message, "latin1"));
  } catch {
    return undefined;
  }
}

export function idsIn(content: Content | undefined): readonly string[] {
  if (content === undefined) return [];
  if (content.type === "zset") return [...content.scores.keys()];
  return content.type === "list" || content.type === "set" ? content.members : [];
}

function shown(content: Content | undefined): string {
  if (content === undefined) return "no key";
  if (content.type !== "hash") return `a ${content.type}`;
  const fields = [...content.fields]
    .filter(([name]) => name !== "msg")
    .map(([name, value]) => `${name}=${value.slice(0, 30)}`);
  return `{${content.fields.has("msg") ? "msg " : ""}${fields.join(" ")}}`;
}
