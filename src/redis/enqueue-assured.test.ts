import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { AssuredLines } from "./enqueue-assured.js";
import type { LinkOptions } from "./link-options.js";
import type { RedisLink } from "./link.js";

it("has no more time for a node that is to be looked at first", async () => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const none = { path: undefined, username: undefined, password: undefined, db: 0, tls: undefined };
  const address = { ...none, label: `redis://127.0.0.1:${port}`, host: "127.0.0.1", port };
  const link = {
    label: "redis-cluster://test",
    oneSlotPerCall: true,
    nodesOf: async () => [{ address }],
    // The look takes nearly all the time.
    run: async () => sleep(600).then(() => [0]),
    ping: async () => {},
  } as unknown as RedisLink;
  const options = { kind: "cluster", label: link.label, timeoutMs: 1_000, seeds: [address] } as unknown as LinkOptions;
  const lines = new AssuredLines(link, options);

  const script = { script: { name: "s", sha1: "", text: "" }, keys: ["asynq:{q}:"], args: [] };
  const beganMs = performance.now();
  const sent = lines.producer({ of: "replicas", replicas: 1 }).run([script], { timeoutMs: 650 });
  await expect(sent).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
  expect(performance.now() - beganMs).toBeLessThan(1_100);

  lines.close();
  for (const socket of sockets) socket.destroy();
  silent.close();
});
