import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HoldfastError } from "../../src/core/errors.js";
import { silent } from "../../src/core/log.js";
import { FileSpoolStore } from "../../src/embedded/spool/file-spool-store.js";
import { newTask } from "../support/builders.js";
import { until } from "../support/until.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-full-disk-"));
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs", folder]).status === 0;
if (!mounted) process.stderr.write("A full disk is not tested: this user may not mount a small one (run as root).\n");

describe.skipIf(!mounted)("a spool on a disk that is full", () => {
  const rest = join(folder, "somebody-else");

  beforeAll(() => {
    mkdirSync(join(folder, "spool"), { mode: 0o700 });
    writeFileSync(rest, Buffer.alloc(12 * 1_048_576));
  });
  afterAll(() => {
    spawnSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  it("accepts nothing, lets tasks leave, keeps what it accepted, and goes on when there is room", async () => {
    const directory = join(folder, "spool");
    await using store = new FileSpoolStore(directory, silent);
    const accepted: string[] = [];
    let refusal: unknown;
    for (let n = 0; refusal === undefined && n < 5_000; n += 1) {
      const id = `t${n}`;
      refusal = await store.append([newTask({ id, payload: Buffer.alloc(20_000, id) })], 1).then(
        () => void accepted.push(id),
        (error: unknown) => error,
      );
    }

    expect(refusal).toMatchObject({ code: "SPOOL_FULL", data: { diskFull: true } });
    expect(accepted.length).toBeGreaterThan(100);
    // What is read at a time has a bound in bytes.
    const ids = async () => {
      const found: string[] = [];
      for (let after = 0; ;) {
        // oxlint-disable-next-line no-await-in-loop -- each goes on where the last one ended
        const rows = await store.read(after, 10_000);
        if (rows.length === 0) return found;
        found.push(...rows.map(({ task }) => task.message.id));
        after = rows.at(-1)!.sequence;
      }
    };
    expect(await ids()).toEqual(accepted);
    const leaving = (await store.read(0, 10_000)).slice(0, 100);
    for (const { sequence, task } of leaving) {
      await store.release([{ sequence, outcome: { status: "enqueued", id: task.message.id, state: "pending" } }]);
    }
    expect(await ids()).toEqual(accepted.slice(100));

    rmSync(rest, { force: true });
    await until("something is accepted again", async () => {
      await store.append([newTask({ id: "again" })], 2).catch((error: unknown) => {
        if (!HoldfastError.is(error, "SPOOL_FULL")) throw error;
        throw new Error("still full", { cause: error });
      });
      return true;
    });
    expect((await ids()).at(-1)).toBe("again");
  }, 60_000);
});
