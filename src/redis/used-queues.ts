/** As many as are looked after. */
const most = 1_000;

/** The queues that a broker has to do with. */
export class UsedQueues {
  readonly #looked = new Set<string>();
  readonly #filled = new Set<string>();
  readonly #onNew: () => void;

  constructor(onNew: () => void) {
    this.#onNew = onNew;
  }

  /** All of them. */
  get names(): string[] {
    return [...this.#looked];
  }

  /** Those in which there were tasks. */
  get filled(): string[] {
    return [...this.#filled];
  }

  /** Tasks are looked for in it. */
  look(queue: string): void {
    if (this.#looked.has(queue) || this.#looked.size >= most) return;
    this.#looked.add(queue);
    this.#onNew();
  }

  /** There was a task in it. */
  fill(queue: string): void {
    if (this.#filled.has(queue)) return;
    if (this.#filled.size < most) this.#filled.add(queue);
    this.look(queue);
  }

  forget(queue: string): void {
    this.#looked.delete(queue);
    this.#filled.delete(queue);
  }
}
