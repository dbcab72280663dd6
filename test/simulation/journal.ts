import type { Event } from "../history/events.js";
import type { World } from "./world.js";

/** Events without their time and writer. */
type Body = Event extends infer One ? (One extends Event ? Omit<One, "at" | "by"> : never) : never;

/** What is known outside storage of what happened, as a chaos run writes it down. */
export class Journal {
  readonly events: Event[] = [];
  readonly #world: World;
  constructor(world: World) {
    this.#world = world;
  }

  say(body: Body, by = this.#world.current?.name ?? "supervisor"): void {
    this.events.push({ at: this.#world.nowMs, by, ...body } as Event);
    this.#world.say(body);
  }

  /** A fault that is on until what is answered is called; what it leaves behind is over somewhat later. */
  fault(fault: string, calmAfterMs: number): () => void {
    this.say({ e: "fault", fault, what: "on" });
    return () => {
      this.say({ e: "fault", fault, what: "off" });
      this.#world.in(calmAfterMs, () => this.say({ e: "fault", fault, what: "calm" }), undefined);
    };
  }
}
