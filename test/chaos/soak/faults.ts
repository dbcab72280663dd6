import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../harness/row.js";
import { rows } from "../harness/rows/all.js";
import type { Scene } from "../harness/scene.js";
import type { SoakStage } from "./stages.js";

export interface SoakFault extends Pick<Row, "name" | "holdMs" | "inject" | "heal"> {
  /** It takes storage itself away, and needs a while before the next of its kind. */
  readonly storage?: true;
}

const short = (row: number, holdMs: number): SoakFault => ({ ...rows.find((one) => one.row === row)!, holdMs });
const stageOf = ({ stage }: Scene) => stage as SoakStage;
/** Longer than a lease. */
const frozenMs = 7_000;

/** Most of a second or less each, so that there are many; what they are for longer the rows show. */
const soakFaults: readonly SoakFault[] = [
  short(10, 800),
  short(12, 600),
  short(14, 500),
  short(15, 700),
  {
    name: "CLIENT PAUSE WRITE",
    holdMs: 800,
    inject: async ({ admin }) => void (await admin.call("CLIENT", "PAUSE", "800", "WRITE")),
  },
  short(22, 600),
  short(23, 600),
  short(24, 500),
  short(124, 500),
  short(25, 500),
  short(26, 600),
  short(27, 900),
  short(28, 700),
  short(128, 600),
  short(31, 900),
  short(32, 500),
  {
    name: "a worker killed with -9",
    holdMs: 100,
    inject: ({ children, anyOf }) => children.kill(anyOf(children.workers)),
  },
  {
    name: "a worker frozen for longer than a lease",
    holdMs: 100,
    inject({ children, anyOf }) {
      const worker = anyOf(children.workers);
      children.freeze(worker);
      // The others go on meanwhile, and so do the faults.
      setTimeout(() => children.thaw(worker), frozenMs);
    },
  },
  {
    name: "a worker stopped in good order",
    holdMs: 100,
    inject({ children, anyOf }) {
      void children.stop(anyOf(children.workers));
      void children.add("worker");
    },
  },
  {
    name: "a producer killed with -9",
    holdMs: 100,
    inject: ({ children, anyOf }) => children.kill(anyOf(children.producers)),
  },
  { name: "storage killed with -9", storage: true, holdMs: 0, inject: (scene) => stageOf(scene).crash() },
  {
    name: "storage restarted or failed over on purpose",
    storage: true,
    holdMs: 0,
    inject: (scene) => stageOf(scene).maintain(),
  },
  { name: "storage's machine lost, with its disk", storage: true, holdMs: 0, inject: (scene) => stageOf(scene).lose() },
];

/** Storage comes to rest between two of those that take it away, so long at least. */
const storageEveryMs = 25_000;

/** Which fault is next: each as often as the others, in an order from the seed. */
export class Schedule {
  readonly #random: () => number;
  #deck: SoakFault[] = [];
  #storageDeck: SoakFault[] = [];
  #storageMs = performance.now();

  constructor(random: () => number) {
    this.#random = random;
  }

  async next(stage: SoakStage): Promise<SoakFault> {
    if (performance.now() - this.#storageMs > storageEveryMs && (await stage.ready())) {
      this.#storageMs = performance.now();
      this.#storageDeck = this.#filled(this.#storageDeck, true);
      return this.#storageDeck.pop()!;
    }
    this.#deck = this.#filled(this.#deck, undefined);
    return this.#deck.pop()!;
  }

  #filled(deck: SoakFault[], storage: true | undefined): SoakFault[] {
    if (deck.length > 0) return deck;
    return soakFaults
      .filter((fault) => fault.storage === storage)
      .map((fault) => ({ fault, at: this.#random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ fault }) => fault);
  }
}

/** From half of it to one and a half. */
export const between = (random: () => number, meanMs: number) => sleep(meanMs * (0.5 + random()));
