import { describe, expect, it } from "vitest";
import { loadDriver } from "./driver.js";
import { isBusy, isHarmless } from "./sqlite-error.js";

describe("driver", async () => {
  const open = await loadDriver();

  it("gives back what was stored: text, whole numbers, bytes and nothing", () => {
    const database = open(":memory:");
    database.exec("CREATE TABLE t (a TEXT, b INTEGER, c BLOB, d TEXT) STRICT");
    const bytes = new Uint8Array([0, 255, 128]);

    const { changes } = database.prepare("INSERT INTO t VALUES (?, ?, ?, ?)").run("é𝄞", 2 ** 52, bytes, null);
    const row = database.prepare("SELECT * FROM t LIMIT ?").get(1) as Record<string, unknown>;
    database.close();

    expect(Number(changes)).toBe(1);
    expect({ ...row, c: [...(row["c"] as Uint8Array)] }).toEqual({ a: "é𝄞", b: 2 ** 52, c: [0, 255, 128], d: null });
  });

  it("says by a number what SQLite refused", () => {
    const database = open(":memory:");
    database.exec("CREATE TABLE t (a INTEGER PRIMARY KEY)");
    const insert = database.prepare("INSERT INTO t VALUES (?)");
    insert.run(1);

    const refused = thrownBy(() => insert.run(1));
    database.close();

    expect(refused).toBeInstanceOf(Error);
    expect((refused as { errcode: number }).errcode & 0xff).toBe(19);
    expect([isHarmless(refused), isBusy(refused)]).toEqual([true, false]);
  });
});

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
