import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { connect } from "../../src/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { lacksCompiler, shim } from "./harness/shim.js";

const lacks = lacksCompiler();
if (lacks !== undefined) process.stderr.write(`SKIPPED: a spool whose disk hangs ${lacks}\n`);

interface Told {
  readonly status?: string;
  readonly code?: string;
  readonly outcome?: string;
  readonly ms: number;
}
type Said = Record<"before" | "hung" | "others" | "again", Told[]> &
  Record<"behind" | "after", Told> & { readonly longestDelayMs: number };

describeRedis("a spool whose disk hangs", () => {
  it.skipIf(lacks !== undefined)(
    "fails its callers in time and nobody else, and has each task once when the disk is back",
    { timeout: 60_000 },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "holdfast-hang-"));
      await using server = await RedisServer.start();
      try {
        const directory = join(folder, "spool");
        const sign = join(folder, "hanging");
        const env = { ...process.env, LD_PRELOAD: shim("failing", folder), FAIL_OF: directory, HANG_WHILE: sign };
        const script = join(import.meta.dirname, "disk-hang-child.mjs");
        const { stdout } = await promisify(execFile)(process.execPath, [script, server.url, directory, sign], { env });
        const { before, hung, others, behind, again, after, longestDelayMs } = JSON.parse(stdout) as Said;

        expect(before).toMatchObject([{ status: "spooled" }, { status: "enqueued" }]);
        for (const told of [...hung, behind]) {
          expect(told).toMatchObject({ code: "BROKER_UNAVAILABLE", outcome: "unknown" });
          // Its timeout, and what a busy machine adds.
          expect(told.ms).toBeLessThan(3_000);
        }
        // The disk hangs until all have been told: who waited for it would be told otherwise, and a blocked loop would stay so.
        expect(others.filter(({ status, ms }) => status !== "enqueued" || ms > 3_000)).toEqual([]);
        expect(longestDelayMs).toBeLessThan(3_000);
        expect([again.at(-1), after]).toMatchObject([{ status: "spooled" }, { status: "spooled" }]);

        await using broker = connect(server.url);
        const ids = await Promise.all(
          ["a", "b"].map(async (queue) => {
            const { items } = await broker.list({ queue, state: "pending" }, { limit: 100 });
            return items.map(({ id }) => id).toSorted();
          }),
        );
        const all = (queue: string, more: string[]) =>
          [...Array.from({ length: 20 }, (_, n) => `${queue}-${n}`), ...more].toSorted();
        expect(ids).toEqual([all("a", ["a-after", "a-before", "a-behind"]), all("b", ["b-before"])]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
