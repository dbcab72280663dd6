import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";
import { lacksCompiler, shim } from "../shim.js";

const fileIn = (folder: string) => join(folder, "skew");
const skewed = (folder: string) => ({ LD_PRELOAD: shim("skewed", folder), SKEW: fileIn(folder) });
const set = (folder: string, seconds: number) => writeFileSync(fileIn(folder), `${seconds}`);

const move =
  (seconds: number) =>
  ({ folder, journal }: Scene) => {
    journal.say({ e: "clock" });
    set(folder, seconds);
  };

/** Clocks that are wrong, and that jump. */
export const clockRows: readonly Row[] = [
  {
    row: 54,
    name: "a worker's clock an hour ahead, then an hour behind",
    lacks: lacksCompiler,
    holdMs: 4_000,
    async inject({ children, folder }) {
      set(folder, 3_600);
      await children.add("worker", { env: skewed(folder) });
      setTimeout(() => set(folder, -3_600), 2_000);
    },
    heal: ({ folder }) => set(folder, 0),
  },
  {
    row: 55,
    name: "the server's clock jumps a minute back",
    lacks: lacksCompiler,
    server: (folder) => ({ env: skewed(folder) }),
    holdMs: 4_000,
    inject: move(-60),
    heal: move(0),
  },
  {
    row: 155,
    name: "the server's clock jumps an hour ahead",
    lacks: lacksCompiler,
    server: (folder) => ({ env: skewed(folder) }),
    holdMs: 4_000,
    inject: move(3_600),
    heal: move(0),
  },
];
