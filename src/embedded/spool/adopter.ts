import type { Driver } from "../driver.js";
import { Adoption, type Portion } from "./adoption.js";
import { Home, homesIn } from "./home.js";
import { decodeRecord } from "./record.js";
import { problemOf } from "./spool-error.js";
import { type StoredTask, UnknownKey } from "./spool-file.js";
import type { EncryptionKeys } from "../../core/encryption-key.js";
import type { SpoolNews } from "./spool-protocol.js";

/** So many are moved in one transaction. */
const portionTasks = 500;

/** Looks for the homes of dead processes, and moves what they hold, one after the other. */
export class Adopter {
  readonly #driver: Driver;
  readonly #own: Home;
  readonly #keys: EncryptionKeys;
  readonly #adoptions: Adoption[] = [];
  /** What is wrong with a home is said once. */
  readonly #leftAlone = new Set<string>();

  constructor(driver: Driver, own: Home, keys: EncryptionKeys) {
    this.#driver = driver;
    this.#own = own;
    this.#keys = keys;
  }

  get busy(): boolean {
    return this.#adoptions.length > 0;
  }

  /** A home that cannot be taken over is left as it is. @throws UnknownKey when `strict` */
  look(onTrouble: (problem: string) => void, strict: boolean): void {
    const { directory, name: own } = this.#own;
    for (const name of homesIn(directory)) {
      if (name === own || this.#adoptions.some((adoption) => adoption.name === name)) continue;
      try {
        const dead = Home.lockDead(this.#driver, directory, name);
        const adoption = dead && Adoption.begin(this.#driver, dead, this.#own, this.#keys);
        if (adoption !== undefined) this.#adoptions.push(adoption);
      } catch (error) {
        if (strict && error instanceof UnknownKey) throw error;
        if (!this.#leftAlone.has(name)) onTrouble(`what ${name} holds is left alone: ${problemOf(error)}`);
        this.#leftAlone.add(name);
      }
    }
  }

  /** The next portion, of at most `limit`; `take` makes it durable in our own file, and answers the last task's sequence there. */
  move(limit: number, take: (portion: Portion) => number): readonly SpoolNews[] {
    const [adoption] = this.#adoptions;
    if (adoption === undefined) return [];
    const { portion, last } = this.#portion(adoption, limit, take);
    adoption.moved();
    const { tasks, parked } = portion;
    const news: SpoolNews[] = [];
    if (tasks.length + parked.length > 0) {
      const { name: home } = adoption;
      news.push({ news: "adopted", home, tasks: tasks.length, parked: parked.length, queues: queuesOf(tasks), last });
    }
    if (portion.last) {
      this.#adoptions.shift();
      const damage = adoption.finish();
      if (damage !== undefined) news.push({ news: "damaged", ...damage });
    }
    return news;
  }

  /** What was read and not taken comes again, whatever went wrong: only what is in our file is deleted in theirs. */
  #portion(adoption: Adoption, limit: number, take: (portion: Portion) => number): { portion: Portion; last: number } {
    try {
      const portion = adoption.next(Math.min(limit, portionTasks));
      return { portion, last: portion.tasks.length + portion.parked.length > 0 ? take(portion) : 0 };
    } catch (error) {
      adoption.failed();
      throw error;
    }
  }

  close(): void {
    for (const adoption of this.#adoptions) adoption.release();
  }
}

function queuesOf(tasks: readonly StoredTask[]): string[] {
  const queues = new Set<string>();
  for (const { record } of tasks) {
    try {
      queues.add(decodeRecord(record).message.queue);
    } catch {
      // Nobody can send it: it keeps no order.
    }
  }
  return [...queues];
}
