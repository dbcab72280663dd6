import { expireAfter } from "../core/expiry.js";

/**
 * Waits for calls that went out together to several nodes: for all of them, but not much longer than for the first. A
 * node that is silent by then is late, until its call has ended: it need not be asked again meanwhile.
 */
export class Patience {
  readonly #ms: number;
  readonly #late: Map<string, number>;
  readonly #onFailed: (error: unknown) => void;
  #waiting = 0;
  #over!: Promise<undefined>;
  #expire!: () => void;
  #stop: (() => void) | undefined;

  /** `late`: how many calls each node has left unanswered. `onFailed` hears of each that fails, the late ones too. */
  constructor(ms: number, late: Map<string, number>, onFailed: (error: unknown) => void) {
    this.#ms = ms;
    this.#late = late;
    this.#onFailed = onFailed;
    this.#begin();
  }

  /** How the call ended; `undefined` when it is late. What it comes to then is told to `onLate`, which does not reject. */
  async wait<T>(
    node: string,
    call: Promise<T>,
    onLate?: (value: T) => Promise<void>,
  ): Promise<PromiseSettledResult<T> | undefined> {
    this.#waiting += 1;
    const ended = call.then(
      (value): PromiseSettledResult<T> => {
        this.#hurry();
        return { status: "fulfilled", value };
      },
      (reason: unknown): PromiseSettledResult<T> => {
        this.#onFailed(reason);
        return { status: "rejected", reason };
      },
    );
    const end = await Promise.race([ended, this.#over]);
    if (end === undefined) void this.#await(node, ended, onLate);
    if (--this.#waiting === 0) this.#begin();
    return end;
  }

  #begin(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#over = new Promise((resolve) => {
      this.#expire = () => resolve(undefined);
    });
  }

  #hurry(): void {
    if (this.#waiting > 0) this.#stop ??= expireAfter(this.#ms, this.#expire);
  }

  async #await<T>(
    node: string,
    ended: Promise<PromiseSettledResult<T>>,
    onLate?: (value: T) => Promise<void>,
  ): Promise<void> {
    this.#late.set(node, (this.#late.get(node) ?? 0) + 1);
    const end = await ended;
    const left = this.#late.get(node)! - 1;
    if (left > 0) this.#late.set(node, left);
    else this.#late.delete(node);
    if (end.status === "fulfilled") await onLate?.(end.value);
  }
}
