/**
 * Memory that the main thread and the lease keeper's thread share: what the main thread holds and has not told yet. To
 * write here costs a fraction of a message, and most leases are settled before anyone needs to know of them. A main
 * thread that runs tells the rest within moments; one that is blocked leaves the log as it is, for the keeper to read.
 */
export class HoldLog {
  readonly shared: SharedArrayBuffer;
  /** [0]: odd while the log is being written, another number after each change; [1]: bytes in use. */
  readonly #head: Int32Array;
  readonly #bytes: Buffer;

  constructor(shared = new SharedArrayBuffer(headBytes + logBytes)) {
    this.shared = shared;
    this.#head = new Int32Array(shared, 0, 2);
    this.#bytes = Buffer.from(shared, headBytes);
  }

  /** Append a line; answers false when there is no room for it. */
  append(line: string): boolean {
    const used = this.#head[1]!;
    // UTF-8 takes three bytes a UTF-16 unit at the most.
    if (used + line.length * 3 + 1 > this.#bytes.length) return false;
    this.#change(() => used + this.#bytes.write(`${line}\n`, used));
    return true;
  }

  clear(): void {
    if (this.#head[1] !== 0) this.#change(() => 0);
  }

  /** Another number after each change. */
  get changes(): number {
    return Atomics.load(this.#head, 0);
  }

  /** All lines, or none while the other thread is writing: then it runs, and will tell by itself. */
  read(): string[] {
    const before = Atomics.load(this.#head, 0);
    const text = this.#bytes.toString("utf8", 0, Atomics.load(this.#head, 1));
    if (before % 2 !== 0 || Atomics.load(this.#head, 0) !== before) return [];
    return text.split("\n").slice(0, -1);
  }

  #change(write: () => number): void {
    Atomics.add(this.#head, 0, 1);
    Atomics.store(this.#head, 1, write());
    Atomics.add(this.#head, 0, 1);
  }
}

const headBytes = 8;
const logBytes = 65_536;
