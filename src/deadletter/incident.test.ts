import { describe, expect, it } from "vitest";
import { failure, message } from "../../test/support/builders.js";
import type { TaskInfo } from "../core/info.js";
import type { TaskMessage } from "../core/message.js";
import type { Failure } from "../core/outcome.js";
import { Incident, type IncidentOptions } from "./incident.js";

const zeroMs = Date.parse("2026-11-22T10:00:00Z");
const dead = (of: Partial<Failure>, atMs = 0, fields: Partial<TaskMessage> = {}): TaskInfo => ({
  id: `id-${atMs}`,
  queue: "billing",
  state: "archived",
  message: message({
    type: "invoice:send",
    payload: Buffer.from('{"card":"x`y"}'),
    retried: 3,
    maxRetry: 3,
    ...fields,
  }),
  bytes: new Uint8Array(0),
  dueAtMs: undefined,
  archivedAtMs: zeroMs + atMs,
  result: undefined,
  failure: failure(of),
  crashes: 0,
});
function told(tasks: readonly TaskInfo[], options: IncidentOptions = {}): string {
  const incident = new Incident();
  for (const task of tasks) incident.add(task);
  return incident.markdown(options, zeroMs + 86_400_000);
}

describe("an incident for people", () => {
  it("says how many, of which causes, and when", () => {
    const text = told(
      [0, 60_000, 180_000]
        .map((atMs) => dead({ class: "TypeError", message: "no id" }, atMs))
        .concat(dead({ class: "TimeoutError", message: "ETIMEDOUT 10.0.0.1" }, 60_000)),
      { title: "INC-42" },
    );

    expect(text).toContain("# INC-42: 4 dead letters");
    expect(text).toContain("2026-11-22 10:00:00Z to 2026-11-22 10:03:00Z");
    expect(text).toContain("2 causes; 75 % are `TypeError: no id`");
    expect(text).toMatch(/\| 1 \| 3 \| `TypeError: no id` .*\n\| 2 \| 1 \| `TimeoutError/);
    expect(text).toContain(
      [
        "2026-11-22 10:00:00Z  1  ####################",
        "2026-11-22 10:01:00Z  2  ########################################",
        "2026-11-22 10:02:00Z  0",
        "2026-11-22 10:03:00Z  1  ####################",
      ].join("\n"),
    );
  });

  it("has neither secrets nor payloads, unless those are asked for", () => {
    const tasks = [dead({ message: "login with password=hunter2 failed" })];

    expect(told(tasks)).not.toMatch(/hunter2|card/);
    expect(told(tasks, { payloads: true })).toContain('```text\n{\n  "card": "x`y"\n}\n```');
  });

  it("keeps what a message holds from being Markdown", () => {
    const text = told([dead({ class: "E", message: "a | b ``` <b>`c`\n# no title" })]);

    expect(text).toContain(String.raw`| 1 | 1 | ${"```` E: a \\| b ``` <b>`c` ````"} |`);
    expect(text.match(/^# /gm)).toHaveLength(2);
    expect(text).toContain("````text\na | b ``` <b>`c`\n# no title\n````");
  });

  it("spells out what a terminal obeys, and keeps its table and fences, whatever tasks hold", () => {
    const evil = "\u001b]0;x\u0007\u009b2J\u202e \\| \u2028```\r# no title\tend";
    const task = {
      ...dead({ class: evil, message: evil, stack: evil, build: evil }, 0, { type: evil, payload: Buffer.from(evil) }),
      id: evil,
      queue: evil,
    };

    const text = told([task], { title: evil, payloads: true });

    expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u);
    expect(text.match(/^#+ /gm)).toHaveLength(6);
    const [, , row = ""] = text.split("\n").filter((one) => one.startsWith("|"));
    expect(row.match(/(?<!\\)(?:\\\\)*\|/g)).toHaveLength(10);
    expect(text).toContain("```\\u{d}# no title    end\n````");
  });

  it("does not grow with what it tells", () => {
    const many = Array.from({ length: 6_000 }, (_, n) =>
      dead({ class: `Error${n % 500}`, message: "boom" }, n * 60_000),
    );

    const text = told(many);

    expect(text).toContain("# Incident: 6000 dead letters");
    expect(text).toContain("3600 dead letters of other causes are counted above");
    expect(text.length).toBeLessThan(150_000);
    expect(text.match(/Z +\d+ +#+$/gm)?.length).toBeLessThanOrEqual(25);
  });

  it("is short where there is nothing", () => {
    expect(told([])).toBe("No dead letter was found.\n");
  });
});
