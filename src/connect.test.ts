import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "./connect.js";
import { HoldfastError } from "./core/errors.js";

const problemOf = (...args: unknown[]) => {
  try {
    (connect as (...args: unknown[]) => unknown)(...args);
  } catch (error) {
    if (HoldfastError.is(error, "OPTION_INVALID")) return error.message;
  }
  throw new Error("no OPTION_INVALID");
};

describe("connect", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "holdfast-connect-"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it("opens nothing before the first call", async () => {
    const file = join(dir, "lazy.db");

    await connect(`file:${file}`).close();
    await connect("redis://127.0.0.1:1").close();

    expect(existsSync(file)).toBe(false);
  });

  it("reads a path in each form of a file URL", async () => {
    const file = join(dir, "my tasks.db");
    for (const url of [`file:${file.replaceAll(" ", "%20")}`, pathToFileURL(file).href]) {
      await using broker = connect(url);
      await broker.ping();
    }

    expect(existsSync(file)).toBe(true);
    expect(connect("file:./tasks.db").label).toContain("tasks.db");
  });

  it("keeps tasks in memory", async () => {
    await using broker = connect("memory:");

    await expect(broker.ping()).resolves.toBeUndefined();
  });

  it("hands options on to the engine", async () => {
    await using broker = connect("redis://:secret@127.0.0.1:1", { timeout: "50ms" });
    const startedMs = performance.now();

    await expect(broker.ping()).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });

    expect(performance.now() - startedMs).toBeLessThan(1_500);
    expect(broker.label).toBe("redis://127.0.0.1:1");
  });

  it.each([
    [
      [undefined],
      "connect.url: must be redis://…, rediss://…, redis-socket:///path, redis-cluster://…, redis-sentinel://…, file:./path, file:///path or memory:, got undefined",
    ],
    [["http://bob:secret@localhost"], 'got the scheme "http:"'],
    [["tasks.db"], "got no scheme"],
    [["redis-sentinel://:secret@a,b"], "must name the master that the Sentinels watch: ?master=name"],
    [["redis+tls://localhost"], "must be redis://"],
    [["redis://localhost", { timeout: "5" }], "connect.timeout: must be a duration"],
    [["redis://localhost/first"], "connect.url: must name a database by its number"],
    [["redis://localhost?timeout=2"], "connect.url?timeout: must be a duration"],
    [["redis://:p/secret@localhost"], "connect.url: "],
    [["redis://localhost", { retries: 5 }], "connect.retries: is not an option; there are timeout, username"],
    [["redis://localhost", { url: "redis://other" }], "connect.url: is not an option: the first argument says where"],
    [["memory:", { file: "x" }], "connect.file: is not an option"],
    [["memory:", { timeout: "5s" }], "connect.timeout: is an option of Redis; with memory: there are none"],
    [["file:./tasks.db", { log: console }], "connect.log: is an option of Redis; with file: there are none"],
    [["memory:", { retries: 5 }], "connect.retries: is not an option; with memory: there are none"],
    [["memory:", ["x"]], "connect.0: is not an option"],
    [["memory://tasks"], 'must be just "memory:"'],
    [["file:"], "must name a file, such as file:./tasks.db"],
    [["file::memory:"], "must name a file"],
    [["file:./tasks/"], "must name a file"],
    [["file:tasks%zz.db"], "must name a file"],
    [["file:tasks%00.db"], "must name a file"],
    [["file://elsewhere/tasks.db"], "must name a file"],
    [["file:tasks.db?mode=ro"], "must not hold ? or #"],
    [["redis://localhost", null], "connect: options must be an object, got null"],
    [["redis://localhost", "5s"], "must be an object"],
  ])("refuses %j", (args, expected) => {
    const problem = problemOf(...args);

    expect(problem).toContain(expected);
    expect(problem).not.toContain("secret");
  });
});
