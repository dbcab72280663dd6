import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OddFile } from "./odd-file.js";
import { besiegeRows } from "./rows-siege.js";
import { tables } from "./rows.js";
import { seed } from "../support/seed.js";

const files = 40;

describe("whatever is in the rows of a file", () => {
  let file: OddFile;
  beforeAll(async () => {
    file = await OddFile.open();
  });
  afterAll(() => file.close());

  it("stops no healthy task, and none of it is lost", async () => {
    let completed = 0;
    for (let n = 0; n < files; n += 1) completed += await besiegeRows(file.database, file.broker, seed + n);

    expect(completed).toBeGreaterThan(files * 10);
  }, 120_000);

  it("is of the type that its column has, for SQLite refuses the rest", () => {
    for (const table of tables) {
      const columns = file.database.prepare(`SELECT name, type FROM pragma_table_info('${table}')`).all();
      const names = (columns as { name: string; type: string }[]).map(({ name }) => name);
      const wrong = (columns as { name: string; type: string }[]).map(({ type }) =>
        type === "TEXT" ? "x'00'" : "'text'",
      );
      const all = `INSERT INTO ${table} (${names.join(", ")}) VALUES`;

      expect(() => file.database.exec(`${all} (${wrong.join(", ")})`)).toThrow(/cannot store/);
      expect(() => file.database.exec(`${all} (${names.map(() => "NULL").join(", ")})`)).toThrow(/NOT NULL/);
    }
  });
});
