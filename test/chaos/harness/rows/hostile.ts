import { connect, type Socket } from "node:net";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";

function sockets(scene: Scene, count: number, onOpen: (socket: Socket) => void = () => undefined): void {
  const all = Array.from({ length: count }, () => {
    const socket = connect({ port: scene.server.port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    socket.on("connect", () => onOpen(socket));
    socket.resume();
    return socket;
  });
  scene.undo.push(() => {
    for (const socket of all) socket.destroy();
  });
}

/** Other clients of the same server, that do not behave. */
export const hostileRows: readonly Row[] = [
  {
    row: 61,
    name: "another client sends commands without end",
    holdMs: 4_000,
    recoverMs: 10_000,
    inject: (scene) =>
      sockets(scene, 4, (socket) => {
        const flood = Buffer.from("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n".repeat(200));
        const more = () => {
          while (!socket.destroyed && socket.write(flood));
        };
        socket.on("drain", more);
        more();
      }),
  },
  {
    row: 62,
    name: "another client opens a thousand connections",
    holdMs: 4_000,
    inject: (scene) => sockets(scene, 1_000),
  },
];
