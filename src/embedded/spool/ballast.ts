import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { isFull } from "../sqlite-error.js";

const ballastBytes = 8 * 1_048_576;
const againMs = 1_000;

/**
 * Room kept on the disk for the day that it is full: given back, it lets a spool write down what it is rid of. While it
 * is not there, nothing is accepted, which would eat it up.
 */
export class Ballast {
  readonly #file: string;
  #there = false;
  #againMs = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Answers whether it is there now. */
  fill(): boolean {
    if (this.#there || performance.now() < this.#againMs) return this.#there;
    this.#againMs = performance.now() + againMs;
    try {
      write(this.#file);
      this.#there = true;
    } catch (error) {
      rmSync(this.#file, { force: true });
      if (!isFull(error)) throw error;
    }
    return this.#there;
  }

  /** Answers whether there was something to give back. */
  drop(): boolean {
    if (!this.#there) return false;
    rmSync(this.#file, { force: true });
    this.#there = false;
    this.#againMs = performance.now() + againMs;
    return true;
  }
}

function write(file: string): void {
  const descriptor = openSync(file, "w", 0o600);
  try {
    const zeros = Buffer.alloc(1_048_576);
    for (let written = 0; written < ballastBytes;) {
      written += writeSync(descriptor, zeros, 0, Math.min(zeros.length, ballastBytes - written));
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
