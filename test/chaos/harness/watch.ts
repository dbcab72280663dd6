import { closeSync, existsSync, openSync, readSync } from "node:fs";
import type { Event } from "../../history/events.js";

/** Reads journals while they are written. */
export class Watch {
  readonly events: Event[] = [];
  readonly #files: () => readonly string[];
  readonly #read = new Map<string, { at: number; rest: string }>();
  readonly #buffer = Buffer.alloc(1 << 20);

  constructor(files: () => readonly string[]) {
    this.#files = files;
  }

  /** What is new. A line that is not whole yet is left for the next look. */
  look(): readonly Event[] {
    const before = this.events.length;
    for (const file of this.#files()) if (existsSync(file)) this.#take(file);
    return this.events.slice(before);
  }

  #take(file: string): void {
    const state = this.#read.get(file) ?? { at: 0, rest: "" };
    this.#read.set(file, state);
    const fd = openSync(file, "r");
    try {
      for (;;) {
        const size = readSync(fd, this.#buffer, 0, this.#buffer.length, state.at);
        if (size === 0) return;
        state.at += size;
        // Journals are ASCII: a cut between two reads cuts no character.
        const lines = (state.rest + this.#buffer.toString("latin1", 0, size)).split("\n");
        state.rest = lines.pop()!;
        for (const line of lines) this.events.push(JSON.parse(line) as Event);
      }
    } finally {
      closeSync(fd);
    }
  }
}
