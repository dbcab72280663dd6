import ansis from "ansis";
import { describe, expect, it } from "vitest";
import { type Column, table } from "./table.js";
import { widthOf } from "./terminal.js";

interface Row {
  readonly name: string;
  readonly tasks: number;
  readonly note: string;
}
const columns: readonly Column<Row>[] = [
  { head: "QUEUE", cell: ({ name }) => name, min: 6 },
  {
    head: "TASKS",
    cell: ({ tasks }) => tasks.toLocaleString("en-US"),
    short: ({ tasks }) => `${tasks / 1e6}M`,
    align: "right",
  },
  { head: "NOTE", cell: ({ note }) => note, min: 8, rank: 1 },
];
const rows = [
  { name: "critical", tasks: 12_000_000, note: "all is well with this one" },
  { name: "low", tasks: 1_000_000, note: "" },
];
const plain = (width: number) => table(columns, rows, width).map((line) => ansis.strip(line));

describe("a table", () => {
  it("is as wide as what is in it, numbers to the right", () => {
    expect(plain(Number.POSITIVE_INFINITY)).toEqual([
      "QUEUE          TASKS  NOTE",
      "critical  12,000,000  all is well with this one",
      "low        1,000,000",
    ]);
  });

  it("says numbers shorter, then cuts texts, then leaves columns out", () => {
    expect(plain(42)).toEqual([
      "QUEUE     TASKS  NOTE",
      "critical    12M  all is well with this one",
      "low          1M",
    ]);
    expect(plain(26)[1]).toBe("critical    12M  all is w…");
    expect(plain(23)[1]).toBe("criti…    12M  all is …");
    expect(plain(15)[1]).toBe("critical    12M");
  });

  it.each([80, 40, 30, 25, 20, 15])("is never wider than %d columns, whatever is in it", (width) => {
    const hostile = [{ name: "読む\u001b[2J\nx", tasks: 5e6, note: "e\u0301🙂\u202e".repeat(40) }, ...rows];
    const lines = table(columns, hostile, width).map((line) => ansis.strip(line));

    expect(lines.filter((line) => widthOf(line) > width)).toEqual([]);
    expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});
