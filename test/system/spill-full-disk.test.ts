import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { DeadLetters } from "../../src/deadletter/index.js";
import { parseRecord } from "../../src/deadletter/record.js";
import { linesOf } from "../../src/deadletter/spill-reader.js";
import { connect } from "../../src/index.js";
import { newTask } from "../support/builders.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-spill-full-"));
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", folder]).status === 0;
if (!mounted) process.stderr.write("A full disk is not tested: this user may not mount a small one (run as root).\n");

describe.skipIf(!mounted)("spilling to a disk that is full", () => {
  afterAll(() => {
    spawnSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  it("deletes nothing that is in no file, says so, and goes on when there is room", async () => {
    const rest = join(folder, "somebody-else");
    writeFileSync(rest, Buffer.alloc(1_048_576));
    const directory = join(folder, "spilled");
    await using broker = connect("memory:");
    const ids = Array.from({ length: 100 }, (_, n) => `t${n}`);
    // Random bytes, which gzip makes no smaller.
    const tasks = ids.map((id) => newTask({ id, queue: "q", payload: randomBytes(15_000) }));
    await broker.enqueue(tasks, broker.clock.nowMs());
    const by = { actor: "test", reason: "test", requestId: "test" };
    await broker.move({ queue: "q", ids }, "archived", by, { limit: 500 }, broker.clock.nowMs());
    const letters = new DeadLetters(broker);
    const left = async () =>
      (await broker.list({ queue: "q", state: "archived" }, { limit: 500 })).items.map(({ id }) => id);
    const spilled = async () => {
      const found: string[] = [];
      for (const name of readdirSync(directory)) {
        for await (const line of linesOf(join(directory, name))) {
          const letter = parseRecord(line);
          found.push("id" in letter ? letter.id : letter.problem);
        }
      }
      return found;
    };

    let refusal: unknown;
    for (let n = 0; refusal === undefined && n < ids.length; n += 10) {
      refusal = await letters.spill({ queue: "q", ids: ids.slice(n, n + 10) }, { directory }).then(
        () => undefined,
        (error: unknown) => error,
      );
    }

    expect(refusal).toMatchObject({
      code: "SPILL_FAILED",
      data: { problem: "no room is left on the disk; nothing was deleted that is not in a file" },
    });
    const kept = await left();
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.length).toBeLessThan(100);
    // Nothing is torn, and no empty file is left.
    expect((await spilled()).toSorted()).toEqual(ids.filter((id) => !kept.includes(id)).toSorted());
    expect(readdirSync(directory)).toHaveLength((100 - kept.length) / 10);

    rmSync(rest);
    await letters.spill({ queue: "q", ids: kept.slice(0, 10) }, { directory });
    expect(await left()).toEqual(kept.slice(10));
    expect((await spilled()).toSorted()).toEqual(ids.filter((id) => !kept.slice(10).includes(id)).toSorted());
  }, 60_000);
});
