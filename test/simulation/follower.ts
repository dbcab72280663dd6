import type { Lineage } from "./shard.js";
import type { Process, World } from "./world.js";

/** A replica that has known for longer that it is cut off is not made the master: Sentinel's rule, with a short `down-after`. */
export const validityMs = 18_000;
/** Until the two notice that they hear nothing of each other any more: `repl-timeout`, a short one. */
export const longestSilenceMs = 10_000;
/** Replicas tell now and then how far they have got. */
const tellEveryMs = 300;

/** A replica: it has what the master had some time ago, and while it is cut off nothing new comes. */
export class Follower {
  /** Whose data it has, up to `haveMs`. */
  lineage: Lineage;
  follows = true;
  readonly #world: World;
  readonly #owner: Process;
  readonly #masterOf: () => Lineage;
  #haveMs: number;
  #lagMs: number;
  #cut = 0;
  #behind = 0;
  /** It could be made the master until then; undefined: it has never had the data of one that it lost. */
  #mayLeadUntilMs: number | undefined;
  /** Its master takes it for one that follows until then, though nothing reaches it. */
  #shownUntilMs = 0;
  #joins = 0;

  constructor(world: World, owner: Process, masterOf: () => Lineage) {
    this.#world = world;
    this.#owner = owner;
    this.#masterOf = masterOf;
    this.lineage = masterOf();
    this.#haveMs = world.wallMs;
    this.#lagMs = world.between(1, 500);
  }

  get haveMs(): number {
    if (this.follows) this.#haveMs = Math.max(this.#haveMs, this.#world.wallMs - this.#lagMs);
    return this.#haveMs;
  }

  /** As far as its master has heard. */
  get toldMs(): number {
    return Math.floor(this.haveMs / tellEveryMs) * tellEveryMs;
  }

  get mayLead(): boolean {
    return this.follows || this.#world.wallMs <= (this.#mayLeadUntilMs ?? 0);
  }

  has(key: string): boolean {
    return (this.lineage.data.takenMs.get(key) ?? Infinity) <= this.haveMs;
  }

  isShownTo(master: Lineage): boolean {
    return this.lineage === master && (this.follows || this.#world.wallMs < this.#shownUntilMs);
  }

  /** So many faults are at work on its way to the master at present. */
  get cut(): number {
    return this.#cut;
  }

  set cut(faults: number) {
    const before = this.#cut;
    this.#cut = faults;
    if (before === 0 && faults > 0) this.#leave();
    if (before > 0 && faults === 0) this.#join();
  }

  /** So many faults make it slow. */
  get behind(): number {
    return this.#behind;
  }

  set behind(faults: number) {
    this.#behind = faults;
    this.#haveMs = this.haveMs;
    this.#lagMs = faults > 0 ? this.#world.one([1_000, 4_000, 20_000]) : this.#world.between(1, 500);
  }

  /** The master it has followed is another, or has other data: it takes those instead. */
  follow(): void {
    if (this.#cut > 0) return;
    this.#leave();
    this.#join();
  }

  /** It was the master itself, or has gone on with one that was given up: nobody counts on what it has. */
  demote(from: Lineage): void {
    this.lineage = from;
    this.follows = false;
    this.#mayLeadUntilMs = undefined;
    this.#shownUntilMs = 0;
    this.#join();
  }

  #leave(): void {
    this.#joins += 1;
    if (!this.follows) return;
    this.#haveMs = this.haveMs;
    this.follows = false;
    this.#shownUntilMs = this.#world.wallMs + this.#world.one([0, 800, longestSilenceMs]);
    this.#mayLeadUntilMs = this.#shownUntilMs + validityMs;
  }

  /** Until it has all, it has what it had. */
  #join(): void {
    const join = (this.#joins += 1);
    this.#shownUntilMs = 0;
    this.#world.in(
      this.#world.between(50, 1_500),
      () => {
        if (join !== this.#joins || this.#cut > 0) return;
        this.lineage = this.#masterOf();
        this.follows = true;
        this.#haveMs = this.#world.wallMs;
      },
      this.#owner,
    );
  }
}
