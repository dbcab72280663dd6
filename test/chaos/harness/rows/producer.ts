import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fullSpoolIsTold } from "../besides.js";
import type { Row } from "../row.js";
import { lacksCompiler, shim } from "../shim.js";
import { fill, lacksRoot, mountMemory, unmount } from "./disk.js";

const spoolIn = (folder: string) => join(folder, "spool");
const keptIn = (folder: string) => join(folder, "kept");

/** A directory as it was fsynced last: its names, each with the bytes that were fsynced, if any were. */
function restore(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  for (const name of readFileSync(join(from, ".names"), "utf8").split("\n").filter(Boolean)) {
    const [kept, place] = [join(from, name), join(to, name)];
    if (existsSync(join(kept, ".names"))) restore(kept, place);
    else if (existsSync(kept)) copyFileSync(kept, place);
    else writeFileSync(place, "");
  }
}

/** Something is wrong with each fsync of the spool while a sign is there. */
const diskRow = (row: number, name: string, kind: "FAIL_WHILE" | "HANG_WHILE"): Row => ({
  row,
  name,
  spool: {},
  lacks: lacksCompiler,
  producers: (folder) => ({
    LD_PRELOAD: shim("failing", folder),
    FAIL_OF: spoolIn(folder),
    [kind]: join(folder, "sign"),
  }),
  holdMs: 3_000,
  recoverMs: 15_000,
  async inject(scene) {
    await scene.server.kill();
    const sign = join(scene.folder, "sign");
    writeFileSync(sign, "");
    scene.undo.push(() => rmSync(sign));
  },
  heal: ({ server }) => server.start(),
});

/** What becomes of those who enqueue, and of what they have accepted and not delivered. */
export const producerRows: readonly Row[] = [
  {
    row: 9,
    name: "away until the spool is full",
    spool: { maxBytes: 40_000, trustAfter: "3s" },
    holds: fullSpoolIsTold,
    recoverMs: 15_000,
    holdMs: 6_000,
    inject: ({ server }) => server.kill(),
    heal: ({ server }) => server.start(),
  },
  {
    row: 49,
    name: "a producer killed with -9 while Redis is away",
    spool: {},
    holdMs: 500,
    async inject({ server, children, anyOf }) {
      await server.kill();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      await children.replace(anyOf(children.producers));
    },
    heal: ({ server }) => server.start(),
  },
  {
    row: 50,
    name: "power cut of the producers' host while Redis is away",
    spool: {},
    lacks: lacksCompiler,
    producers: (folder) => ({ LD_PRELOAD: shim("kept", folder), KEPT_OF: spoolIn(folder), KEPT_IN: keptIn(folder) }),
    holdMs: 500,
    async inject({ server, children, folder }) {
      await server.kill();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      await children.replaceAll(children.producers, () => {
        rmSync(spoolIn(folder), { recursive: true });
        restore(keptIn(folder), spoolIn(folder));
        // Files that come anew begin their own list.
        rmSync(keptIn(folder), { recursive: true });
      });
    },
    heal: ({ server }) => server.start(),
  },
  {
    row: 51,
    name: "the spool's disk is full while Redis is away",
    spool: {},
    lacks: lacksRoot,
    server(folder) {
      mountMemory(spoolIn(folder), 64);
      return {};
    },
    ends: ({ folder }) => unmount(spoolIn(folder)),
    holdMs: 3_000,
    recoverMs: 15_000,
    async inject(scene) {
      await scene.server.kill();
      const filler = join(spoolIn(scene.folder), "filler");
      fill(filler);
      scene.undo.push(() => rmSync(filler));
    },
    heal: ({ server }) => server.start(),
  },
  {
    row: 52,
    name: "the spool's files are damaged",
    lacks: () => "a test damages them while nobody has them open: src/embedded/spool/damage.test.ts",
    holdMs: 0,
    inject: () => undefined,
  },
  diskRow(151, "the spool's disk fails to fsync (EIO) while Redis is away", "FAIL_WHILE"),
  diskRow(251, "the spool's disk hangs while Redis is away", "HANG_WHILE"),
  {
    row: 53,
    name: "eight producers on one spool, four killed with -9",
    spool: {},
    holdMs: 500,
    async inject({ children }) {
      await Promise.all(Array.from({ length: 6 }, () => children.add("producer")));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await Promise.all(children.producers.slice(0, 4).map((producer) => children.replace(producer)));
    },
  },
];
