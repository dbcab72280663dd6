import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";

const built = JSON.stringify(join(import.meta.dirname, "../../dist/esm/index.js"));
const script = `
  import { connect, Worker } from ${built};
  const broker = connect(process.argv[1]);
  const worker = new Worker(broker);
  await worker.run();
  console.log(worker.health().state);
  process.exit(); // To let go of a server that does not answer takes two seconds.
`;

it("a worker that is told to stop while storage does not answer its start ends in the usual way", async () => {
  const silent = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  const asked = once(silent, "connection");
  const url = `redis://127.0.0.1:${port}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, url]);
  const said = text(child.stdout);
  const ended = once(child, "exit");

  await asked;
  child.kill("SIGTERM");

  expect(await ended).toEqual([0, null]);
  expect(await said).toBe("stopped\n");
  silent.close();
});
