import { appendFileSync } from "node:fs";
import type { Event } from "../../history/events.js";

/** Events without their time and writer. */
type Body = Event extends infer One ? (One extends Event ? Omit<One, "at" | "by"> : never) : never;

export const nowMs = () => Math.round(Number(process.hrtime.bigint()) / 1e3) / 1e3;

/** The supervisor's own journal; those of its children are written by `journal.mjs`. */
export class Journal {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  say(body: Body): void {
    appendFileSync(this.file, `${JSON.stringify({ at: nowMs(), by: "supervisor", ...body })}\n`);
  }
}
