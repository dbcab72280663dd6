import { createConnection } from "node:net";

/** Whether a server takes commands by now: asked over a connection of its own, which nobody mends. */
export function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    socket.on("error", () => resolve(false));
    socket.once("data", (reply) => {
      resolve(String(reply).startsWith("+PONG"));
      socket.destroy();
    });
    socket.write("PING\r\n");
  });
}
