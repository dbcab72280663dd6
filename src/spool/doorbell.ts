import { setTimeout as sleep } from "node:timers/promises";

/** Wakes the one who waits; a ring while nobody waits is not lost. */
export class Doorbell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Until it rings, or `ms` have passed. */
  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      const over = new AbortController();
      const rung = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const late = Number.isFinite(ms) ? [sleep(ms, undefined, { signal: over.signal }).catch(() => undefined)] : [];
      await Promise.race([rung, ...late]);
      over.abort();
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}
