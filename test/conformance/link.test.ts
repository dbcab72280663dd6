import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { brokerChannel } from "../../src/core/telemetry.js";
import { LinkError } from "../../src/redis/link.js";
import type { StandaloneLink } from "../../src/redis/standalone-link.js";
import { type Fault, FaultProxy } from "../support/fault-proxy.js";
import { add, command, count, failure, newLink, payload, refusal } from "../support/link-probe.js";
import { describeRedis, freePort, RedisServer } from "../support/redis-server.js";
import { settles, until } from "../support/until.js";
import { seed } from "../support/seed.js";
import { seeded } from "../support/seeded.js";

const timeoutMs = 500;

describeRedis("link over a faulty network", () => {
  let server: RedisServer;
  let proxy: FaultProxy;
  let link: StandaloneLink;

  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await server.admin.flushall();
    proxy = await FaultProxy.to(server.port);
    link = newLink(proxy.url, { timeoutMs });
  });
  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
    await settles("close", link.close(), 2_000);
  });

  const stored = async (key: string) => Number(await server.admin.get(key));
  const staleCalls = async () =>
    Number(/errorstat_STALE:count=(\d+)/.exec(await server.admin.info("errorstats"))?.[1] ?? 0);

  it("connects with the first call, not before", async () => {
    expect(proxy.connections).toBe(0);

    await link.ping();

    expect(proxy.connections).toBe(1);
  });

  it("answers in order, bytes for bytes, with a failed call's error in its place", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);

    const replies = await link.run([
      command("hset", "hash", "field", bytes),
      command("hgetall", "hash"),
      command("lpush", "hash", payload),
      count("n"),
      command("get", "none"),
    ]);

    expect(replies[1]).toEqual([Buffer.from("field"), Buffer.from(bytes)]);
    expect(refusal(replies[2])).toMatchObject({
      outcome: "failed",
      code: "WRONGTYPE",
      problem: expect.stringMatching(/: hash$/),
    });
    expect([replies[0], ...replies.slice(3)]).toEqual([1, 1, null]);
  });

  it("sends nothing for an empty list", async () => {
    expect(await link.run([])).toEqual([]);
    expect(proxy.connections).toBe(0);
  });

  it("carries replies of many megabytes", async () => {
    const value = Buffer.alloc(20_000_000, "x");

    const replies = await link.run([command("set", "big", value), command("get", "big")], { timeoutMs: 5_000 });

    expect((replies[1] as Buffer).equals(value)).toBe(true);
  });

  it("says unknown when the reply is lost, and the call was carried out once", async () => {
    await link.ping();
    proxy.set({ kind: "dropReplies" });

    const error = await failure(link.run([count("n")], { taskIds: ["a", "b"] }));

    expect(error.data).toMatchObject({ broker: proxy.url, outcome: "unknown", taskIds: ["a", "b"] });
    proxy.set({ kind: "pass" });
    expect(await link.run([count("other")])).toEqual([1]);
    expect(await stored("n")).toBe(1);
  });

  it("gives up at the deadline when everything vanishes, and the call is not carried out later", async () => {
    await link.run([count("warm")]);
    proxy.set({ kind: "blackHole" });
    const startedMs = performance.now();

    const error = await failure(link.run([count("n")]));

    expect(performance.now() - startedMs).toBeGreaterThan(timeoutMs - 10);
    expect(error.data).toMatchObject({ outcome: "unknown", problem: expect.stringContaining("no reply within") });
    proxy.set({ kind: "pass" });
    await link.run([count("after")]);
    expect(await stored("n")).toBe(0);
  });

  it("keeps a call from being carried out that arrives after its deadline", async () => {
    await link.run([count("n")]);
    const before = await staleCalls();
    proxy.set({ kind: "hold" });

    const error = await failure(link.run([count("n")]));
    proxy.set({ kind: "pass" });

    expect(error.data.outcome).toBe("unknown");
    await until("the late call has arrived", async () => (await staleCalls()) > before);
    expect(await stored("n")).toBe(1);
  });

  it("notices a socket that is open at one end only, and connects anew", async () => {
    await link.ping();
    proxy.halfOpen();

    expect((await failure(link.run([count("n")]))).data.outcome).toBe("unknown");
    proxy.set({ kind: "pass" });

    expect(await link.run([count("n")])).toEqual([1]);
  });

  it("says unknown at once when the connection is reset under a call", async () => {
    await link.ping();
    proxy.set({ kind: "dropReplies" });
    const startedMs = performance.now();
    const call = link.run([count("n")], { timeoutMs: 5_000 });
    await until("it was carried out", async () => (await stored("n")) === 1);
    proxy.reset();

    const error = await failure(call);

    expect(error.data).toMatchObject({ outcome: "unknown", problem: expect.stringMatching(/lost/) });
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  it("says notSent when connections are reset as soon as they are made", async () => {
    proxy.set({ kind: "resetNew" });

    expect((await failure(link.run([count("n")], { taskIds: ["a"] }))).data).toMatchObject({
      outcome: "notSent",
      taskIds: ["a"],
    });
  });

  it("names host, port and cause when nobody listens, within the deadline", async () => {
    const port = await freePort();
    const nobody = newLink(`redis://:pass-w0rd@127.0.0.1:${port}`, { timeoutMs });

    const error = await failure(nobody.run([count("n")]));

    expect(error.message).toContain(`redis://127.0.0.1:${port} is unavailable: connect ECONNREFUSED`);
    expect(error.data.outcome).toBe("notSent");
    expect(error.cause).toMatchObject({ code: "ECONNREFUSED" });
  });

  it("names a host that there is not", async () => {
    const error = await failure(newLink("redis://no-such-host.invalid", { timeoutMs: 2_000 }).ping(), 3_500);

    expect(error.message).toMatch(
      /^redis:\/\/no-such-host\.invalid:6379 is unavailable: getaddrinfo E\w+ no-such-host/,
    );
  });

  it("waits for a server that comes back before the deadline", async () => {
    await proxy.refuse();
    const call = link.run([count("n")], { timeoutMs: 3_000 });
    await sleep(100);
    await proxy.listen();

    expect(await call).toEqual([1]);
  });

  it("says unknown when the reply is garbage, and connects anew", async () => {
    await link.ping();
    proxy.set({ kind: "garbage", bytes: "\u0000\u0001 garbage \r\n" });

    const error = await failure(link.run([count("n")]));

    expect(error.data).toMatchObject({
      outcome: "unknown",
      problem: expect.stringContaining("not in the Redis protocol"),
    });
    proxy.set({ kind: "pass" });
    expect(await link.run([count("n")])).toEqual([2]);
  });

  it("outlives answers that nothing had asked for", async () => {
    await link.ping();
    proxy.set({ kind: "garbage", bytes: `+${payload}\r\n+${payload}\r\n+${payload}\r\n` });
    await link.run([command("ping")]).catch(() => undefined);
    proxy.set({ kind: "pass" });

    expect(await link.run([count("n")])).toEqual([1]);
  });

  it("says which calls of a batch have an answer when the rest is cut off", async () => {
    await link.ping();
    proxy.set({ kind: "cut", afterBytes: 10 });

    const [first, second, third] = await link.run([
      command("incr", "a"),
      command("set", "b", "x".repeat(1_000)),
      command("get", "b"),
    ]);

    expect([first, (second as Buffer).toString()]).toEqual([1, "OK"]);
    expect(refusal(third)).toMatchObject({ outcome: "unknown" });
  });

  it("says that a server which does not speak the protocol is not usable", async () => {
    const web = createServer((_, response) => response.end("hello"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    const { port } = web.address() as AddressInfo;

    const error = await failure(newLink(`redis://127.0.0.1:${port}`, { timeoutMs }).ping());

    expect(error.data).toMatchObject({
      outcome: "notSent",
      problem: expect.stringContaining("not in the Redis protocol"),
    });
    await new Promise((resolve) => web.close(resolve));
  });

  it("does not blame the server for an event loop that was blocked", async () => {
    const direct = newLink(server.url, { timeoutMs: 100 });
    await direct.ping();
    const call = direct.run([count("n")]);
    const endMs = performance.now() + 400;
    while (performance.now() < endMs);

    expect(await call).toEqual([1]);
    await direct.close();
  });

  it("finishes what is under way before it closes, and is closed then", async () => {
    proxy.set({ kind: "delay", ms: 50 });
    const call = link.run([count("n")]);

    await settles("close", link.close(), 2_000);

    expect(await call).toEqual([1]);
    expect(await failure(link.run([count("n")]))).toMatchObject({ code: "CLOSED" });
    await until("the server sees no connection", () => proxy.connections === 0);
  });

  it("closes within the deadline of the calls that are stuck", async () => {
    await link.ping();
    proxy.set({ kind: "blackHole" });
    const stuck = failure(link.run([count("n")]));

    await settles("close", link.close(), timeoutMs + 1_000);

    expect((await stuck).data.outcome).toBe("unknown");
  });

  it("tells once when the server goes away and comes back", async () => {
    const events: string[] = [];
    const listener = (event: unknown) => void events.push((event as { event: string }).event);
    brokerChannel.subscribe(listener);

    await link.ping();
    await proxy.refuse();
    await failure(link.ping());
    await failure(link.ping());
    await proxy.listen();
    await link.ping();

    brokerChannel.unsubscribe(listener);
    expect(events).toEqual(["up", "down", "up"]);
  });

  it("spaces its attempts to connect, while a call waits", async () => {
    let connections = 0;
    const flaky = createServer().on("connection", (socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => flaky.listen(0, "127.0.0.1", resolve));
    const { port } = flaky.address() as AddressInfo;

    await failure(newLink(`redis://127.0.0.1:${port}`, { timeoutMs: 1_000 }).ping(), 2_500);

    // 25, 50, 100, 200, 250 … ms with half of it jitter; at most 250 ms apart.
    expect(connections).toBeGreaterThanOrEqual(4);
    expect(connections).toBeLessThanOrEqual(12);
    await new Promise((resolve) => flaky.close(resolve));
  });

  it("knows what became of each call while faults come and go", { timeout: 20_000 }, async () => {
    process.stdout.write(`seed ${seed}\n`);
    const random = seeded(seed);
    const faults: Fault[] = [
      ...(["pass", "pass", "pass", "blackHole", "dropReplies", "hold", "resetNew"] as const).map((kind) => ({ kind })),
      { kind: "delay", ms: 30 },
      { kind: "garbage", bytes: "garbage\r\n" },
      { kind: "cut", afterBytes: 2 },
    ];
    const outcomes = { carriedOut: 0, unknown: 0, not: 0 };
    const tally = (reply: unknown) => {
      const outcome = reply instanceof LinkError ? reply.outcome : "carriedOut";
      outcomes[outcome === "carriedOut" || outcome === "unknown" ? outcome : "not"]++;
    };
    let over = false;
    const caller = async () => {
      while (!over) {
        const call = link.run([add("n", 1), add("n", 1)], { timeoutMs: 150 });
        try {
          (await settles("a call", call, 2_000)).forEach(tally);
        } catch (error) {
          const { outcome } = (error as { data: { outcome: string } }).data;
          outcomes[outcome === "unknown" ? "unknown" : "not"] += 2;
        }
      }
    };

    const callers = Promise.all(Array.from({ length: 8 }, caller));
    for (let i = 0; i < 60; i++) {
      proxy.set(faults[Math.floor(random() * faults.length)]!);
      if (random() < 0.3) proxy.reset();
      await sleep(20 + random() * 80);
    }
    over = true;
    await callers;
    proxy.set({ kind: "pass" });
    await link.run([count("after")], { timeoutMs: 2_000 });

    const n = await stored("n");
    expect({
      seed,
      n,
      ...outcomes,
      fits: n >= outcomes.carriedOut && n <= outcomes.carriedOut + outcomes.unknown,
    }).toMatchObject({ fits: true });
    expect(outcomes.carriedOut).toBeGreaterThan(0);
    expect(outcomes.unknown).toBeGreaterThan(0);
  });
});
