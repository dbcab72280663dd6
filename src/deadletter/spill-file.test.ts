import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SpillFile } from "./spill-file.js";
import { linesOf } from "./spill-reader.js";

const key = Buffer.alloc(32, 7);
const nowMs = Date.UTC(2026, 10, 22, 10, 30, 5);
const some = (from: number, count: number) => Array.from({ length: count }, (_, n) => `{"id":"id-${from + n}"}`);

describe("a file of spilled dead letters", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-spill-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function written(keys: readonly Uint8Array[], ...appends: (readonly string[])[]): Promise<string> {
    const file = await SpillFile.create(folder, keys, nowMs);
    for (const lines of appends) await file.append(lines);
    await file.close();
    return file.path;
  }

  async function read(path: string, keys: readonly Uint8Array[] = []) {
    const lines: string[] = [];
    let torn = 0;
    for await (const line of linesOf(path, { keys, onTorn: (bytes) => (torn = bytes) })) lines.push(line);
    return { lines, torn };
  }

  describe.each([
    ["in clear", [] as Uint8Array[]],
    ["sealed", [key]],
  ])("%s", (_, keys) => {
    it("gives back what it was given, in order", async () => {
      const path = await written(keys, some(0, 3), some(3, 200));

      expect(await read(path, keys)).toEqual({ lines: some(0, 203), torn: 0 });
    });

    it("gives back what is whole, wherever its end is torn, and says so", async () => {
      const first = await written(keys, some(0, 3));
      const whole = readFileSync(first).length;
      const path = await written(keys, some(0, 3), some(3, 5));
      const all = readFileSync(path).length;
      for (let bytes = all - 1; bytes > whole; bytes -= 1) {
        truncateSync(path, bytes);
        expect(await read(path, keys)).toEqual({ lines: some(0, 3), torn: bytes - whole });
      }
      // A power cut may leave zeros where the end was to be.
      appendFileSync(path, Buffer.alloc(40));
      expect((await read(path, keys)).lines).toEqual(some(0, 3));
    });

    it("says where it is damaged, and gives out nothing from there on", async () => {
      const path = await written(keys, some(0, 3), some(3, 5), some(8, 1));
      const bytes = readFileSync(path);
      const second = readFileSync(await written(keys, some(0, 3))).length;
      bytes[second + 30]! ^= 1;
      writeFileSync(path, bytes);

      const lines: string[] = [];
      const reading = (async () => {
        for await (const line of linesOf(path, { keys })) lines.push(line);
      })();

      await expect(reading).rejects.toMatchObject({
        code: "SPILL_FAILED",
        message: expect.stringContaining(`byte ${second}`),
      });
      expect(lines).toEqual(some(0, 3));
    });
  });

  it("in clear is a file that gzip reads", async () => {
    const path = await written([], some(0, 2), some(2, 1));

    expect(gunzipSync(readFileSync(path)).toString()).toBe(`${some(0, 3).join("\n")}\n`);
    expect(path).toMatch(/\/dead-letters-20261122T103005Z-[0-9a-f]{8}\.jsonl\.gz$/);
  });

  it("sealed shows nothing of what is in it, opens with its key alone, and only in its order", async () => {
    const path = await written([key], some(0, 1), some(1, 1), some(2, 1));
    expect(readFileSync(path).includes("id-")).toBe(false);

    await expect(read(path)).rejects.toMatchObject({ code: "OPTION_INVALID" });
    await expect(read(path, [Buffer.alloc(32, 8)])).rejects.toMatchObject({ code: "OPTION_INVALID" });
    expect((await read(path, [Buffer.alloc(32, 8), key])).lines).toEqual(some(0, 3));

    const bytes = readFileSync(path);
    const frame = (bytes.length - 29) / 3;
    const [head, a, b, c] = [
      bytes.subarray(0, 29),
      ...[0, 1, 2].map((n) => bytes.subarray(29 + n * frame, 29 + (n + 1) * frame)),
    ];
    writeFileSync(path, Buffer.concat([head!, b!, a!, c!]));
    await expect(read(path, [key])).rejects.toMatchObject({ code: "SPILL_FAILED" });
  });

  it("reads plain lines, and those that gzip packed, too; a line may hold what Node's readline takes for its end", async () => {
    const lines = ['{"id":"a\u2028b"}', '{"id":"c"}'];
    const [plain, packed] = [join(folder, "a.jsonl"), join(folder, "a.jsonl.gz")];
    writeFileSync(plain, `${lines.join("\n")}\n`);
    writeFileSync(packed, gzipSync(lines.join("\n")));

    expect((await read(plain)).lines).toEqual(lines);
    expect((await read(packed)).lines).toEqual(lines);
    await expect(read(join(folder, "none"))).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });
});
