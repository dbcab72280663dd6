import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RedisServer } from "../../../support/redis-server.js";
import { nothingTwice } from "../besides.js";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";
import { lacksCompiler, shim } from "../shim.js";

async function shutDown({ server }: { server: RedisServer }): Promise<void> {
  await server.admin.shutdown().catch(() => undefined); // It answers by hanging up.
  await server.kill();
}

/** The file that a server appends to. */
function journalOf({ dir }: RedisServer): string {
  const folder = join(dir, "appendonlydir");
  return join(
    folder,
    readdirSync(folder).find((name) => name.endsWith(".incr.aof"))!,
  );
}

const recording = (folder: string) => ({ LD_PRELOAD: shim("synced", folder), SYNCED: join(folder, "synced") });

/** kill -9, and its file is as it was when it was fsynced last: what only memory had is gone. */
async function cutPower({ server, folder }: Scene): Promise<void> {
  await server.kill();
  const file = journalOf(server);
  const inode = `${statSync(file).ino} `;
  const lines = readFileSync(join(folder, "synced"), "utf8").split("\n");
  truncateSync(file, Number(lines.findLast((line) => line.startsWith(inode))!.slice(inode.length)));
}

/** What becomes of the server's process, and of its file while it is gone. */
export const processRows: readonly Row[] = [
  {
    row: 1,
    name: "restarted in good order",
    holdMs: 1_000,
    recoverMs: 2_000,
    holds: nothingTwice,
    inject: shutDown,
    heal: ({ server }) => server.start(),
  },
  {
    row: 2,
    name: "killed with -9",
    holdMs: 1_000,
    holds: nothingTwice,
    inject: ({ server }) => server.kill(),
    heal: ({ server }) => server.start(),
  },
  {
    row: 3,
    name: "power cut, fsync every second",
    server: (folder) => ({ env: recording(folder), config: { appendfsync: "everysec" } }),
    lacks: lacksCompiler,
    holdMs: 500,
    loses: "the last second had not been fsynced",
    alwaysLoses: true,
    inject: cutPower,
    async heal(scene) {
      scene.forgets("power cut");
      await scene.server.start();
    },
  },
  {
    row: 4,
    name: "power cut, fsync always",
    server: (folder) => ({ env: recording(folder), config: { appendfsync: "always" } }),
    lacks: lacksCompiler,
    holdMs: 500,
    inject: cutPower,
    heal: ({ server }) => server.start(),
  },
  {
    row: 5,
    name: "comes back empty",
    holdMs: 500,
    loses: "the data is gone",
    alwaysLoses: true,
    async inject({ server }) {
      await server.kill();
      rmSync(join(server.dir, "appendonlydir"), { recursive: true });
    },
    async heal(scene) {
      scene.forgets("its file was removed");
      await scene.server.start();
    },
  },
  {
    row: 6,
    name: "its file lacks the last bytes",
    holdMs: 500,
    loses: "the last writes are gone",
    alwaysLoses: true,
    async inject(scene) {
      const { server } = scene;
      const [id] = await scene.promise();
      await server.kill();
      const file = journalOf(server);
      const written = readFileSync(file);
      // Through a write of which callers were told. What a spool has may not have been written yet.
      const at = written.indexOf(id!);
      truncateSync(file, at < 0 ? written.length - 5 : at);
    },
    async heal(scene) {
      scene.forgets("its file was cut");
      await scene.server.start();
    },
  },
  {
    row: 7,
    name: "does not start, for its file is damaged",
    holdMs: 4_000,
    async inject(scene) {
      const { server } = scene;
      await server.kill();
      const file = journalOf(server);
      const good = readFileSync(file);
      const damaged = Buffer.from(good);
      // Where a command begins: inside of a payload nobody would notice.
      damaged.write("XX", good.indexOf("\r\n*", Math.floor(good.length / 2)) + 2);
      writeFileSync(file, damaged);
      const started = await server.start().then(
        () => true,
        () => false,
      );
      if (started) throw new Error("it started with a damaged file");
      scene.undo.push(() => writeFileSync(file, good));
    },
    heal: ({ server }) => server.start(),
  },
  {
    row: 8,
    name: "away for 20 s",
    holdMs: 20_000,
    inject: ({ server }) => server.kill(),
    heal: ({ server }) => server.start(),
  },
  {
    row: 10,
    name: "frozen for less than a lease",
    holdMs: 3_000,
    holds: nothingTwice,
    inject: ({ server }) => server.freeze(),
    heal: ({ server }) => server.thaw(),
  },
  {
    row: 110,
    name: "frozen for longer than a lease",
    holdMs: 9_000,
    holds: nothingTwice,
    inject: ({ server }) => server.freeze(),
    heal: ({ server }) => server.thaw(),
  },
  {
    row: 13,
    name: "loads its data for seconds",
    holdMs: 2_000,
    recoverMs: 20_000,
    async inject({ server, admin }) {
      const commands = /aof_current_size:(\d+)/.exec(await admin.info("persistence"))?.[1];
      await server.kill();
      // About three seconds over all commands of its file, which are some hundred bytes each.
      const delay = Math.ceil(3_000_000 / Math.max(1, Number(commands) / 150));
      await server.start("listening", {
        "key-load-delay": `${delay}`,
        "loading-process-events-interval-bytes": "1024",
      });
    },
  },
];
