import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";

const lacksRoot = () =>
  process.platform === "linux" && process.getuid?.() === 0 ? undefined : "mounts a file system: needs Linux and root";
const placeIn = (folder: string) => join(folder, "disk");
const run = (command: string, ...args: string[]) => void execFileSync(command, args, { stdio: "pipe" });

/** The server keeps what it has open; the folder can be removed. */
const unmountLater = (scene: Scene) => scene.undo.push(() => run("umount", "-l", placeIn(scene.folder)));

/** The disk under the server's append-only file. */
export const diskRows: readonly Row[] = [
  {
    row: 19,
    name: "disk full",
    lacks: lacksRoot,
    server(folder) {
      mkdirSync(placeIn(folder));
      run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", placeIn(folder));
      return { config: { dir: placeIn(folder) } };
    },
    holdMs: 4_000,
    inject(scene) {
      const filler = join(placeIn(scene.folder), "filler");
      for (let size = 8 << 20; size > 256; size /= 2) {
        try {
          writeFileSync(filler, Buffer.alloc(size), { flag: "a" });
        } catch {
          // Part of it was written: the next, smaller one fills what is left.
        }
      }
      unmountLater(scene);
      scene.undo.unshift(() => rmSync(filler));
    },
  },
  {
    row: 20,
    name: "fsync hangs",
    lacks: lacksRoot,
    server(folder) {
      const image = join(folder, "disk.img");
      mkdirSync(placeIn(folder));
      run("truncate", "-s", "32m", image);
      run("mkfs.ext4", "-q", image);
      run("mount", "-o", "loop", image, placeIn(folder));
      return { config: { dir: placeIn(folder) } };
    },
    holdMs: 3_000,
    inject(scene) {
      run("fsfreeze", "-f", placeIn(scene.folder));
      scene.undo.push(() => run("fsfreeze", "-u", placeIn(scene.folder)));
      unmountLater(scene);
    },
  },
];
