import { closeSync, type FSWatcher, openSync, utimesSync, watch } from "node:fs";
import { systemClock } from "../core/clock.js";

/** Touching it more often tells nobody anything. */
const ringEveryMs = 5;

/**
 * A file beside the database, empty and without meaning but its times: who puts tasks into the database touches it, who
 * waits for tasks watches it. Made by the first one who listens. It may fail in every way (no right, no more watches,
 * deleted by somebody): then nobody hears it, and a look at the database now and then has to do.
 */
export class Bell {
  readonly #file: string;
  readonly #onRung: () => void;
  #watcher: FSWatcher | undefined;
  #rung = false;
  #pause: NodeJS.Timeout | undefined;

  constructor(file: string, onRung: () => void) {
    this.#file = file;
    this.#onRung = onRung;
  }

  /** At once or, soon after the last time, in a few ms. */
  ring(): void {
    if (this.#pause !== undefined) {
      this.#rung = true;
      return;
    }
    this.#touch();
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#rung) this.ring();
    }, ringEveryMs);
  }

  listen(): void {
    if (this.#watcher !== undefined) return;
    try {
      closeSync(openSync(this.#file, "a", 0o600));
      this.#watcher = watch(this.#file, (event) => {
        // Renamed or deleted: nobody will touch this one any more.
        if (event === "rename") this.mute();
        this.#onRung();
      });
      this.#watcher.on("error", () => this.mute());
    } catch {
      // Heard again when listening is tried again.
    }
  }

  mute(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  close(): void {
    this.mute();
    clearTimeout(this.#pause);
    if (this.#rung) this.#touch();
  }

  #touch(): void {
    this.#rung = false;
    const nowS = systemClock.nowMs() / 1_000;
    try {
      utimesSync(this.#file, nowS, nowS);
    } catch {
      // Nobody has listened yet, or nobody can.
    }
  }
}
