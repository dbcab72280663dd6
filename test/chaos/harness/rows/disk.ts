import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";

export const lacksRoot = () =>
  process.platform === "linux" && process.getuid?.() === 0 ? undefined : "mounts a file system: needs Linux and root";
const placeIn = (folder: string) => join(folder, "disk");
const run = (command: string, ...args: string[]) => void execFileSync(command, args, { stdio: "pipe" });

/** A small disk of its own at that place. */
export function mountMemory(place: string, megabytes: number): void {
  mkdirSync(place);
  run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "tmpfs", place);
}

/** A file that takes all the room that is left. */
export function fill(filler: string): void {
  for (let size = 8 << 20; size > 256;) {
    try {
      writeFileSync(filler, Buffer.alloc(size), { flag: "a" });
    } catch {
      // Part of it was written: a smaller one fills what is left.
      size /= 2;
    }
  }
}

/** The server keeps what it has open; the folder can be removed. */
const unmountLater = (scene: Scene) => scene.undo.push(() => unmount(placeIn(scene.folder)));
export const unmount = (place: string) => run("umount", "-l", place);

/** The disk under the server's append-only file. */
export const diskRows: readonly Row[] = [
  {
    row: 19,
    name: "disk full",
    lacks: lacksRoot,
    server(folder) {
      mountMemory(placeIn(folder), 8);
      return { config: { dir: placeIn(folder), appendfsync: "everysec" } };
    },
    holdMs: 4_000,
    inject(scene) {
      const filler = join(placeIn(scene.folder), "filler");
      fill(filler);
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
      return { config: { dir: placeIn(folder), appendfsync: "everysec" } };
    },
    holdMs: 3_000,
    inject(scene) {
      run("fsfreeze", "-f", placeIn(scene.folder));
      scene.undo.push(() => run("fsfreeze", "-u", placeIn(scene.folder)));
      unmountLater(scene);
    },
  },
];
