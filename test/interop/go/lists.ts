import type { Redis } from "ioredis";

/** An entry keeps the name it came with, though it be overwritten. */
interface Entry {
  readonly came: string;
  is: string;
}

/**
 * The lists of a server as commands leave them: most commands do not say which entries they take, and a poll that finds nothing
 * looks like one that takes something.
 */
export class Lists {
  readonly #lists = new Map<string, Entry[]>();

  /** As they are now. */
  static async of(redis: Redis): Promise<Lists> {
    const lists = new Lists();
    for (const key of await redis.keys("*")) {
      if ((await redis.type(key)) !== "list") continue;
      lists.#lists.set(key, (await redis.lrange(key, 0, -1)).map(entry));
    }
    return lists;
  }

  push(key: string, end: "head" | "tail", ids: readonly string[]): void {
    const entries = ids.map(entry);
    if (end === "tail") this.#at(key).push(...entries);
    else this.#at(key).unshift(...entries.toReversed());
  }

  /** LREM; answers what is taken out. */
  remove(key: string, count: number, id: string): string[] {
    const list = this.#at(key);
    const from = count < 0 ? list.toReversed() : list;
    const taken = new Set(from.filter(({ is }) => is === id).slice(0, count === 0 ? undefined : Math.abs(count)));
    return this.#keep(
      key,
      list.filter((one) => !taken.has(one)),
    );
  }

  /** LTRIM; answers what is taken out. */
  trim(key: string, first: number, last: number): string[] {
    return this.#keep(key, this.#at(key).slice(first, last === -1 ? undefined : last + 1));
  }

  /** RPOP; answers what is taken out. */
  pop(key: string, count = 1): string[] {
    return this.#keep(key, this.#at(key).slice(0, -count));
  }

  /** LSET; answers what was there. */
  overwrite(key: string, index: number, id: string): string {
    const found = this.#at(key).at(index)!;
    found.is = id;
    return found.came;
  }

  delete(key: string): void {
    this.#lists.delete(key);
  }

  #keep(key: string, kept: readonly Entry[]): string[] {
    const gone = this.#at(key).filter((one) => !kept.includes(one));
    this.#lists.set(key, [...kept]);
    return gone.map(({ came }) => came);
  }

  #at(key: string): Entry[] {
    const list = this.#lists.get(key) ?? [];
    this.#lists.set(key, list);
    return list;
  }
}

const entry = (id: string): Entry => ({ came: id, is: id });
