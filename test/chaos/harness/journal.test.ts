import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const run = promisify(execFile);
const megabyte = 2 ** 20;

/** A process that fills its heap, and then forgets what it has. */
const script = `
  import { memoryReader } from ${JSON.stringify(new URL("journal.mjs", import.meta.url).href)};
  const read = memoryReader(0);
  const first = read();
  const grown = () => {
    const { rss, kept } = read();
    return { rss: rss - first.rss, kept: kept - first.kept };
  };
  let all = Array.from({ length: 100_000 }, () => new Array(120).fill(0.5));
  const full = grown();
  all = undefined;
  process.stdout.write(JSON.stringify([full, grown()]));
`;

it("the memory of a process of a chaos run is what it keeps: garbage that nobody has collected is not that", async () => {
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
  const [full, forgotten] = JSON.parse(stdout) as { rss: number; kept: number }[];

  expect(full!.kept).toBeGreaterThan(64 * megabyte);
  expect(forgotten!.rss).toBeGreaterThan(64 * megabyte);
  expect(forgotten!.kept).toBeLessThan(16 * megabyte);
});
