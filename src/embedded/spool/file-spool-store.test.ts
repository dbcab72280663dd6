import { randomBytes } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Unreadable } from "../../broker/spool.js";
import { silent } from "../../core/log.js";
import type { NewTask } from "../../core/message.js";
import { newTask } from "../../../test/support/builders.js";
import { until } from "../../../test/support/until.js";
import { loadDriver } from "../driver.js";
import { pack } from "../packed.js";
import { FileSpool } from "./file-spool.js";
import { FileSpoolStore } from "./file-spool-store.js";
import { encodeRecord } from "./record.js";
import { SpoolFile } from "./spool-file.js";
import { type FileSpoolOptions, spoolPlan } from "./spool-options.js";

const t0 = 1_800_000_000_000;
const tasks = (...ids: string[]): NewTask[] => ids.map((id) => newTask({ id, payload: Buffer.from("a secret word") }));

describe("a spool's directory", () => {
  let folder: string;
  let directory: string;
  const opened: FileSpoolStore[] = [];

  function open(options: Partial<FileSpoolOptions> = {}): FileSpoolStore {
    const store = new FileSpoolStore({ directory, ...options }, silent);
    opened.push(store);
    return store;
  }
  const held = async (store: FileSpoolStore) => (await store.read(0, 10_000)).map(({ task }) => task.message.id);
  const homes = () => readdirSync(directory).filter((name) => name.startsWith("p-"));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-spool-"));
    directory = join(folder, "spool");
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  it("is made for this user alone, with all above it, and so is every file in it", async () => {
    directory = join(folder, "new/spool");

    await open().append(tasks("a"), t0);

    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name));
    const loose = files.filter((file) => (statSync(file).mode & 0o077) !== 0);
    expect(loose).toEqual([]);
    expect(files.length).toBeGreaterThan(3);
  });

  it("hands a burst to its disk, however much of it waits while that goes on", async () => {
    // The thread says that it is full, so it was asked.
    const store = open({ maxBytes: 65_536 });
    const payload = Buffer.alloc(33 * 1_048_576);

    const told = await Promise.allSettled(["a", "b"].map((id) => store.append([newTask({ id, payload })], t0)));

    const full = { status: "rejected", reason: { code: "SPOOL_FULL" } };
    expect(told).toMatchObject([full, full]);
  });

  it("is read in portions that memory can bear", async () => {
    const store = open();
    const payload = Buffer.alloc(3 * 1_048_576);
    const large = ["a", "b", "c", "d", "e"].map((id) => newTask({ id, payload }));
    await store.append([...large, newTask({ id: "f", payload: Buffer.alloc(9 * 1_048_576) }), ...tasks("g", "h")], t0);

    const portions: string[] = [];
    for (let after = 0; ;) {
      const read = await store.read(after, 512);
      if (read.length === 0) break;
      portions.push(read.map(({ task }) => task.message.id).join(""));
      after = read.at(-1)!.sequence;
    }

    expect(portions).toEqual(["ab", "cd", "e", "f", "gh"]);
  });

  it("is refused when others may write it, or it is a link or a file", async () => {
    const refused = async (path: string) => {
      directory = path;
      const error = await open()
        .append(tasks("a"), t0)
        .catch((cause: unknown) => cause);
      return (error as Error).message;
    };
    mkdirSync(join(folder, "loose"));
    chmodSync(join(folder, "loose"), 0o770);
    mkdirSync(join(folder, "real"), { mode: 0o700 });
    symlinkSync(join(folder, "real"), join(folder, "link"));
    writeFileSync(join(folder, "file"), "");

    expect(await refused(join(folder, "loose"))).toMatch(
      /^spool\.directory: must not be writable .* mode 770: chmod 700/,
    );
    expect(await refused(join(folder, "link"))).toMatch(/must not be a symbolic link/);
    expect(await refused(`${join(folder, "link")}/`)).toMatch(/must not be a symbolic link/);
    expect(await refused(join(folder, "file"))).toMatch(/must be a directory/);
    expect(await refused(join(folder, "file/below"))).toMatch(/must be a directory/);
    expect(readdirSync(join(folder, "real"))).toEqual([]);
  });

  it("holds nothing any more when all is released and its processes have ended", async () => {
    const store = open();
    await store.append(tasks("a"), t0);
    const [a] = await store.read(0, 1);
    await store.release([{ sequence: a!.sequence, outcome: { status: "enqueued", id: "a", state: "pending" } }]);

    await store.close();

    expect(readdirSync(directory)).toEqual([]);
  });

  it("is shared: what lives is left alone, and what died is taken over by one of those that live", async () => {
    const [one, two] = [open(), open()];
    await one.append(tasks("a"), t0);
    await two.append(tasks("b"), t0);
    expect([await held(one), await held(two)]).toEqual([["a"], ["b"]]);
    await one.close();

    const three = open();
    const four = open();
    await Promise.all([three.stats(), four.stats()]);

    await until("somebody has a", async () => [...(await held(three)), ...(await held(four))].includes("a"));
    expect([...(await held(three)), ...(await held(four))]).toEqual(["a"]);
    expect(await held(two)).toEqual(["b"]);
    expect(homes()).toHaveLength(3);
  });

  it("parks what a later Holdfast left and this one cannot read, as it is, and gives back all the others", async () => {
    const left = new FileSpool(await loadDriver(), spoolPlan(directory), 0, () => {});
    const ids = ["x", "y", "a", "z", "b"];
    const records = tasks(...ids).map((task) => encodeRecord(task));
    for (const n of [0, 1, 3]) records[n]![0] = 2;
    left.run([{ verb: "append", ids, records: pack(records), nowMs: t0 }]);
    left.close();

    const store = open();
    const unreadable: Unreadable[] = [];
    store.onUnreadable((task) => unreadable.push(task));
    await store.stats();

    const read: string[] = [];
    await until("the others are read", async () => {
      // Two at a time: of the first two none can be read.
      for (let after = 0, rows; (rows = await store.read(after, 2)).length > 0; after = rows.at(-1)!.sequence) {
        read.push(...rows.map(({ task }) => task.message.id));
      }
      return read.length > 0;
    });
    expect(read).toEqual(["a", "b"]);
    expect(unreadable.map(({ id }) => id)).toEqual(["x", "y", "z"]);
    expect(unreadable[0]!.problem).toContain("not a record of this Holdfast");
    expect(await store.stats()).toMatchObject({ tasks: 2, parked: 3 });
    expect(await store.outcomes(["x"])).toEqual([{ ...unreadable[0], status: "parked" }]);
    await store.close();
    const file = SpoolFile.open(await loadDriver(), join(directory, homes()[0]!, "spool.db"), []);
    expect(Buffer.from(file.parkedAfter(0)!.record)).toEqual(Buffer.from(records[0]!));
    file.close();
  });

  it("may hold what is not ours, which stays as it is", async () => {
    mkdirSync(join(directory, "p-of-somebody"), { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    writeFileSync(join(directory, "p-00000000-1-0000000"), "x");
    writeFileSync(join(directory, "notes.txt"), "x");

    const store = open();
    await store.append(tasks("a"), t0);
    await store.close();

    expect(readdirSync(directory)).toEqual(
      expect.arrayContaining(["notes.txt", "p-00000000-1-0000000", "p-of-somebody"]),
    );
  });

  describe("with a key", () => {
    const [key, other] = [randomBytes(32), randomBytes(32)];
    const bytes = () =>
      readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString("latin1"))
        .join("");

    it("has payloads in no file, and gives them back", async () => {
      const store = open({ key });
      await store.append(tasks("a"), t0);

      const [a] = await store.read(0, 1);

      expect(Buffer.from(a!.task.message.payload).toString()).toBe("a secret word");
      expect(bytes()).not.toContain("a secret word");
      const clear = open();
      await clear.append(tasks("b"), t0);
      expect(bytes()).toContain("a secret word");
    });

    it("opens what an earlier key has sealed, and seals it anew", async () => {
      await using first = open({ key: key.toString("base64") });
      await first.append(tasks("a"), t0);
      await first.close();

      const store = open({ key: { active: "new", keys: { old: key, new: other } } });
      await until("it is taken over", async () => (await held(store)).includes("a"));
      await store.close();

      const last = open({ key: other });
      await until("it is taken over", async () => (await held(last)).includes("a"));
      expect(await held(last)).toEqual(["a"]);
    });

    it("says that a key is wrong or missing, and changes nothing", async () => {
      const store = open({ key });
      await store.append(tasks("a"), t0);
      await store.close();
      const before = homes();

      for (const options of [{ key: other }, {}]) {
        const refused = open(options);
        const error = await refused.append(tasks("b"), t0).catch((cause: unknown) => cause);
        expect(error).toMatchObject({ code: "OPTION_INVALID", data: { option: "spool.key" } });
        await refused.close();
      }

      expect(homes()).toEqual(before);
      const right = open({ key });
      await until("it is taken over", async () => (await held(right)).includes("a"));
    });
  });
});
