import type { Fault } from "../../../support/fault-proxy.js";
import { lacksFilter, lacksShaper } from "../line.js";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";

const set =
  (fault: Fault) =>
  ({ proxy }: Scene) =>
    proxy.set(fault);
const pass = set({ kind: "pass" });

/** What was dropped, or overtaken, on its way is wrong in its connection for good: that one is of no use any more. */
function passAnew(scene: Scene): void {
  pass(scene);
  scene.proxy.reset();
}

/** What the network does between them and the server. */
export const networkRows: readonly Row[] = [
  { row: 25, name: "replies lost, then RST", holdMs: 1_000, inject: set({ kind: "dropReplies" }), heal: passAnew },
  { row: 26, name: "open at one end only", holdMs: 1_000, inject: ({ proxy }) => proxy.halfOpen(), heal: pass },
  { row: 27, name: "black hole", holdMs: 8_000, inject: set({ kind: "blackHole" }), heal: passAnew },
  { row: 127, name: "stuck, then all arrives", holdMs: 8_000, inject: set({ kind: "hold" }), heal: pass },
  {
    row: 28,
    name: "refuses connections",
    holdMs: 2_000,
    inject: ({ proxy }) => proxy.refuse(),
    heal: ({ proxy }) => proxy.listen(),
  },
  {
    row: 128,
    name: "RST on connect",
    holdMs: 2_000,
    inject(scene) {
      scene.proxy.set({ kind: "resetNew" });
      scene.proxy.reset();
    },
    heal: pass,
  },
  {
    row: 29,
    name: "a tenth of the packets lost",
    stage: "line",
    lacks: lacksFilter,
    holdMs: 5_000,
    inject: ({ line }) => line.dropping(10),
    heal: ({ line }) => line.mend(),
  },
  {
    row: 30,
    name: "a line of 1 Mbit/s",
    stage: "line",
    lacks: lacksShaper,
    holdMs: 5_000,
    inject: ({ line }) => line.narrow("1mbit"),
    heal: ({ line }) => line.mend(),
  },
  { row: 31, name: "200 ms away", holdMs: 4_000, inject: set({ kind: "delay", ms: 200 }), heal: passAnew },
  {
    row: 32,
    name: "replies cut in the middle",
    holdMs: 2_000,
    inject: set({ kind: "cut", afterBytes: 7 }),
    heal: pass,
  },
  {
    row: 132,
    name: "replies of garbage",
    holdMs: 2_000,
    inject: set({ kind: "garbage", bytes: "$5\r\nab\u0000\r\n:x\r\n" }),
    heal: passAnew,
  },
];
