import ansis from "ansis";
import { describe, expect, it } from "vitest";
import { message } from "../../../test/support/builders.js";
import type { TaskInfo } from "../../index.js";
import { taskListLines } from "./columns.js";

const task = (fields: Partial<TaskInfo> = {}): TaskInfo => ({
  id: "01a200c7-7172-7000-b243-eaf0f39efe21",
  queue: "q",
  state: "archived",
  message: message({
    type: "email:welcome",
    payload: Buffer.from('{"n":1}'),
    lastError: "smtp: connection refused by host",
  }),
  bytes: new Uint8Array(0),
  dueAtMs: undefined,
  archivedAtMs: 1_000,
  result: undefined,
  failure: undefined,
  crashes: 0,
  ...fields,
});
const plain = (lines: readonly string[]) => lines.map((line) => ansis.strip(line));

describe("a list of tasks", () => {
  it("tells an error beside its task where it fits, else on a line of its own", () => {
    const wide = plain(taskListLines([task()], "archived", 61_000, { width: 120 }));
    const narrow = plain(taskListLines([task()], "archived", 61_000, { width: 80 }));

    expect(wide).toHaveLength(2);
    expect(wide[1]).toMatch(/ 0\/25 {2}1 m ago {2}smtp: connection refused by host$/);
    expect(narrow).toHaveLength(3);
    expect(narrow[1]).toMatch(/ email:welcome +0\/25 {2}1 m ago$/);
    expect(narrow[2]).toBe("  smtp: connection refused by host");
  });

  it("leaves out what it knows of no task, and what cannot be read has no type", () => {
    const [head, , broken] = plain(
      taskListLines([task({ state: "active" }), task({ message: undefined })], "active", 0, { width: 80 }),
    );

    expect(head).toMatch(/^ID +TYPE +PAYLOAD$/);
    expect(broken).toMatch(/ \(unreadable\)$/);
    expect(plain(taskListLines([task({ crashes: 2, progress: 0.5 })], "active", 0, { width: 120 }))[0]).toMatch(
      /^ID +TYPE +CRASHES +PROGRESS +PAYLOAD$/,
    );
  });
});
