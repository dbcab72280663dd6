import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../row.js";
import { fill, lacksRoot, mountMemory, unmount } from "./disk.js";

const spoolIn = (folder: string) => join(folder, "spool");

/** What becomes of those who enqueue, and of what they have accepted and not delivered. */
export const producerRows: readonly Row[] = [
  {
    row: 9,
    name: "away until the spool is full",
    spool: { maxBytes: 40_000, trustAfter: "3s" },
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
