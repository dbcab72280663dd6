import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { deadline, LinkError } from "../../src/redis/link.js";
import type { StandaloneLink } from "../../src/redis/standalone-link.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { command, count, failure, newLink, payload, refusal, script } from "../support/link-probe.js";
import { describeRedis, RedisServer, type ServerOptions } from "../support/redis-server.js";
import { settles, until } from "../support/until.js";

const timeoutMs = 500;

describeRedis("link to a server in trouble", () => {
  let shared: RedisServer;
  const links: StandaloneLink[] = [];
  const servers: RedisServer[] = [];

  beforeAll(async () => {
    shared = await RedisServer.start();
  });
  afterAll(() => shared.stop());
  afterEach(async () => {
    await settles("close", Promise.all(links.splice(0).map((link) => link.close())), 2_000);
    await Promise.all(servers.splice(0).map((server) => server.stop()));
    await shared.admin.flushall();
  });

  const linkTo = (url: string, options: Parameters<typeof newLink>[1] = {}) => {
    const link = newLink(url, { timeoutMs, ...options });
    links.push(link);
    return link;
  };
  const start = async (options: ServerOptions) => {
    const server = await RedisServer.start(options);
    servers.push(server);
    return server;
  };
  const refusedBy = async (link: StandaloneLink) => refusal((await link.run([count("n")]))[0]);

  it("runs a script that the server does not have", async () => {
    await shared.admin.script("FLUSH");

    expect(await linkTo(shared.url).run([count("n")])).toEqual([1]);
  });

  it("runs a batch of which the server has some scripts, each call once", async () => {
    const link = linkTo(shared.url);
    const list = script("list", 'return redis.call("RPUSH", KEYS[1], ARGV[1])');
    const push = (value: string) => ({ script: list, keys: ["list"], args: [value] });
    await shared.admin.script("FLUSH");
    await link.run([count("n")]);

    const replies = await link.run([push("a"), count("n"), push("b"), command("ping"), count("n"), push("c")]);

    expect(replies).toEqual([1, 2, 2, Buffer.from("PONG"), 3, 3]);
    expect(await shared.admin.lrange("list", 0, -1)).toEqual(["a", "b", "c"]);
  });

  it("sends a script's text once for all the calls that lack it", async () => {
    const texts = async () =>
      Number(/cmdstat_eval:calls=(\d+)/.exec(await shared.admin.info("commandstats"))?.[1] ?? 0);
    const before = await texts();
    await shared.admin.script("FLUSH");

    expect(await linkTo(shared.url).run([count("n"), count("n"), count("n")])).toEqual([1, 2, 3]);

    expect(await texts()).toBe(before + 1);
  });

  it("goes on after kill -9 and a restart within a second, scripts gone", async () => {
    const server = await start({ config: { appendonly: "yes", appendfsync: "always" } });
    const link = linkTo(server.url);
    await link.run([count("n")]);
    await server.kill();
    const call = link.run([count("n")], { timeoutMs: 5_000 });
    call.catch(() => undefined);
    const startedMs = performance.now();
    await server.start();

    const [first] = await call;
    // A server that has just begun to listen may still be loading: that refuses the call, it does not lose it.
    const loading = first instanceof LinkError && first.code === "LOADING";
    const count2 = loading ? await until("it has loaded", async () => (await link.run([count("n")]))[0] === 2) : first;

    expect(count2).toBe(loading ? true : 2);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
  });

  it("refuses while the server loads its data", async () => {
    const server = await start({
      config: { "key-load-delay": "500", "loading-process-events-interval-bytes": "1024" },
    });
    await server.admin.eval("for i = 1, 20000 do redis.call('SET', 'key' .. i, 'value') end", 0);
    await server.admin.save();
    await server.kill();
    await server.start("listening");

    const error = await refusedBy(linkTo(server.url, { timeoutMs: 2_000 }));

    expect(error).toMatchObject({ outcome: "refused", code: "LOADING" });
    expect(error.toError("b", ["a"])).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "refused", taskIds: ["a"] },
    });
  });

  it("refuses while the server is busy with a script, new connections too", async () => {
    const server = await start({ config: { "busy-reply-threshold": "50" } });
    const link = linkTo(server.url, { timeoutMs: 5_000 });
    await link.ping();
    const killer = server.admin.duplicate();
    await killer.ping();
    const endless = server.admin.eval("while true do end", 0).catch(() => "killed");

    const known = await until("the server says it is busy", async () => {
      const [reply] = await link.run([count("n")]);
      return reply instanceof LinkError && reply;
    });
    const fresh = await failure(linkTo(server.url, { timeoutMs: 5_000 }).run([count("n")]));
    await killer.script("KILL");

    expect(known).toMatchObject({ outcome: "refused", code: "BUSY" });
    expect(fresh.data).toMatchObject({ outcome: "refused", problem: expect.stringMatching(/^BUSY/) });
    expect(await endless).toBe("killed");
    expect(await server.admin.get("n")).not.toBe("2");
    killer.disconnect();
  });

  it("refuses on a replica, and asks again over a new connection, for the address may have moved", async () => {
    const replica = await start({ config: { replicaof: `127.0.0.1 ${shared.port}` } });
    await until("the replica is in step", async () =>
      (await replica.admin.info("replication")).includes("master_link_status:up"),
    );
    await using proxy = await FaultProxy.to(replica.port);
    const link = linkTo(proxy.url);

    expect(await refusedBy(link)).toMatchObject({ outcome: "refused", code: "READONLY" });
    await until("that connection is gone", () => proxy.connections === 0);
    await replica.admin.replicaof("NO", "ONE");

    expect(await link.run([count("n")])).toEqual([1]);
  });

  it("lets the calls under way end on the connection that it leaves", async () => {
    const replica = await start({ config: { replicaof: "127.0.0.1 1" } });
    const link = linkTo(replica.url);
    await refusedBy(link); // Now the server has the script.
    await link.ping();

    const slowRead = command("xread", "block", 200, "streams", "none", "$");
    const [refused, slow] = await Promise.all([refusedBy(link), link.run([slowRead])]);

    expect(refused.code).toBe("READONLY");
    expect(slow).toEqual([null]);
  });

  it("refuses on a replica that has lost its master", async () => {
    const replica = await start({ config: { replicaof: "127.0.0.1 1", "replica-serve-stale-data": "no" } });

    expect(await refusedBy(linkTo(replica.url))).toMatchObject({ outcome: "refused", code: "MASTERDOWN" });
  });

  it("refuses where too few replicas listen", async () => {
    const server = await start({ config: { "min-replicas-to-write": "1" } });

    expect(await refusedBy(linkTo(server.url))).toMatchObject({ outcome: "refused", code: "NOREPLICAS" });
  });

  it("refuses when the memory is full, and still reads", async () => {
    const server = await start({ config: { maxmemory: "100kb" } });

    const [counted, read] = await linkTo(server.url).run([count("n"), command("get", "n")]);

    expect(refusal(counted)).toMatchObject({ outcome: "refused", code: "OOM" });
    expect(read).toBeNull();
  });

  it("says what the server says when a password is missing or wrong, at once", async () => {
    const server = await start({ config: { requirepass: "pass-w0rd" } });
    const withPassword = (password: string) => server.url.replace("//", `//:${password}@`);

    const missing = await failure(linkTo(server.url).run([count("n")], { timeoutMs: 10_000 }), 3_000);
    const wrong = await failure(linkTo(withPassword("pass-w0rd2")).run([count("n")], { timeoutMs: 10_000 }), 3_000);

    expect(missing).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(missing.message).toMatch(
      /^redis:\/\/127\.0\.0\.1:\d+ cannot be used: NOAUTH .*: check user and password in the URL$/,
    );
    expect(wrong).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(wrong.data.problem).toMatch(/^WRONGPASS .*: check user and password in the URL$/);
    expect(await linkTo(withPassword("pass-w0rd")).run([count("n")])).toEqual([1]);
  });

  it("refuses to send a password to a server that wants none", async () => {
    const error = await failure(linkTo(shared.url.replace("//", "//:pass-w0rd@")).ping());

    expect(error).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(error.data.problem).toMatch(/^ERR AUTH/);
  });

  it("works as an ACL user, and names what the user may not", async () => {
    const server = await start({ config: { user: ["bob on >pass-w0rd ~mine:* +evalsha +eval +time +incr +ping"] } });
    const link = linkTo(server.url.replace("//", "//bob:pass-w0rd@"));

    const [own, foreign, forbidden] = await link.run([count("mine:n"), count("n"), command("flushall")]);

    expect(own).toBe(1);
    expect(refusal(foreign)).toMatchObject({ outcome: "refused", code: "NOPERM" });
    expect(refusal(forbidden)).toMatchObject({
      outcome: "refused",
      code: "NOPERM",
      problem: expect.stringContaining("flushall"),
    });
  });

  it("works by its own clock when the user may not ask for the time", async () => {
    const server = await start({ config: { user: ["bob on >pass-w0rd ~* +get"] } });

    expect(await linkTo(server.url.replace("//", "//bob:pass-w0rd@")).run([command("get", "n")])).toEqual([null]);
  });

  it("does not take a permission that fails inside a script for a refusal, for it may have written before", async () => {
    const server = await start({ config: { user: ["bob on >pass-w0rd ~* +eval +evalsha +set"] } });
    const half = script("half", 'redis.call("SET", KEYS[1], "x")\nreturn redis.call("DEL", KEYS[1])');

    const [reply] = await linkTo(server.url.replace("//", "//bob:pass-w0rd@")).run([
      { script: half, keys: ["k"], args: [payload] },
    ]);

    expect(refusal(reply)).toMatchObject({
      outcome: "failed",
      problem: expect.stringMatching(/(can't run this command|has no permissions).*\(half\.lua:2\)$/),
    });
  });

  it("refuses when the server has all the clients it takes", async () => {
    const server = await start({ config: { maxclients: "1" } });
    await server.admin.ping();

    const error = await failure(linkTo(server.url).run([count("n")]));

    expect(error.data).toMatchObject({ outcome: "refused", problem: "ERR max number of clients reached" });
  });

  it("works in the database that the URL names, and says when there is none such", async () => {
    await linkTo(`${shared.url}/3`).run([command("set", "here", "x")]);

    expect(await linkTo(`${shared.url}/3`).run([command("exists", "here")])).toEqual([1]);
    expect(await linkTo(shared.url).run([command("exists", "here")])).toEqual([0]);
    const missing = await failure(linkTo(`${shared.url}/99`).ping());
    expect(missing).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(missing.data.problem).toBe("ERR DB index is out of range: check the database in the URL");
  });

  it("gives up at the deadline on a server that is stopped, which does not carry the call out when it goes on", async () => {
    const server = await start({});
    const link = linkTo(server.url);
    await link.run([count("n")]);
    server.freeze();

    const error = await failure(link.run([count("n")]));
    const second = await failure(link.run([count("n")]));
    server.thaw();

    expect([error.data.outcome, second.data.outcome]).toEqual(["unknown", "notSent"]);
    await until("the server has seen the late call", async () =>
      /errorstat_STALE/.test(await server.admin.info("errorstats")),
    );
    expect(await link.run([count("n")], { timeoutMs: 3_000 })).toEqual([2]);
  });

  it("puts its clock right when the server says that a call came late, and sends it again", async () => {
    const link = linkTo(shared.url);
    await link.ping();
    const hourAheadMs = Date.now() + 3_600_000;
    const ahead = script(
      "ahead",
      'if ARGV[2] > ARGV[1] then return redis.error_reply("STALE " .. ARGV[2]) end return "done"',
    );

    const [reply] = await link.run([{ script: ahead, keys: [], args: [deadline, hourAheadMs] }]);

    expect(String(reply)).toBe("done");
    expect(link.clock.nowMs()).toBeGreaterThanOrEqual(hourAheadMs);
  });

  it("takes the server's time over its host's", async () => {
    const hourAheadMs = Date.now() + 3_600_000;
    const answers: Record<string, string> = {
      SETNAME: "+OK\r\n",
      PING: "+PONG\r\n",
      TIME: `*2\r\n$10\r\n${Math.floor(hourAheadMs / 1_000)}\r\n$6\r\n000000\r\n`,
    };
    const stub = createServer((socket) => {
      socket.on("data", (bytes) => {
        for (const [name] of String(bytes).matchAll(/SETNAME|PING|TIME/g)) socket.write(answers[name]!);
      });
    });
    await new Promise<void>((resolve) => stub.listen(0, "127.0.0.1", resolve));
    const link = linkTo(`redis://127.0.0.1:${(stub.address() as AddressInfo).port}`);

    await link.ping();

    await until("the time has been read", () => link.clock.offsetMs > 0);
    expect(Math.abs(link.clock.nowMs() - hourAheadMs)).toBeLessThan(5_000);
    await link.close();
    await new Promise((resolve) => stub.close(resolve));
  });

  it("names the script and the keys when one is of the wrong type, and goes on", async () => {
    const link = linkTo(shared.url);
    await shared.admin.lpush("a-list", payload);

    const [wrong, right] = await link.run([count("a-list"), count("n")]);

    expect(refusal(wrong)).toMatchObject({
      outcome: "failed",
      problem: expect.stringMatching(/^WRONGTYPE .*: a-list \(count\.lua:5\)$/),
    });
    expect(refusal(wrong).toError(link.label)).toMatchObject({ code: "BROKER_FAILED" });
    expect(right).toBe(1);
  });

  it("does not repeat the arguments that the server complains of", async () => {
    const [reply] = await linkTo(shared.url).run([command("nonsense", payload)]);

    expect(refusal(reply)).toMatchObject({ outcome: "failed", problem: "ERR unknown command 'NONSENSE'" });
  });

  it("speaks TLS to a server whose certificate it can check, and to no other", async () => {
    const server = await start({ tls: true, config: { user: ["bob on >pass-w0rd ~* +@all"] } });
    const url = server.url.replace("//", "//bob:pass-w0rd@");

    const strangers = await failure(linkTo(url).ping());
    const trusted = linkTo(url.replace("127.0.0.1", "localhost"), {
      tls: { ca: server.certificates!.caText },
      timeoutMs: 2_000,
    });

    expect(strangers.data).toMatchObject({ outcome: "notSent", problem: expect.stringMatching(/certificate/) });
    expect(await trusted.run([count("n")])).toEqual([1]);
  });

  it("says that a server does not speak TLS", async () => {
    const error = await failure(linkTo(shared.url.replace("redis:", "rediss:")).ping());

    expect(error.data).toMatchObject({ outcome: "notSent" });
  });

  it("works over a Unix socket", async () => {
    const server = await start({ config: { unixsocket: "redis.sock" } });

    expect(await linkTo(`redis-socket://${server.dir}/redis.sock`).run([count("n")])).toEqual([1]);
  });

  it("lets every call end while the server is killed and started again and again", { timeout: 20_000 }, async () => {
    const server = await start({});
    const link = linkTo(server.url);
    let over = false;
    let carriedOut = 0;
    const caller = async () => {
      while (!over) {
        await settles(
          "a call",
          link.run([count("n")]).then(
            () => carriedOut++,
            () => undefined,
          ),
          timeoutMs + 1_000,
        );
        await sleep(1);
      }
    };

    const callers = Promise.all(Array.from({ length: 8 }, caller));
    for (let i = 0; i < 4; i++) {
      const before = carriedOut;
      await until("calls are carried out", () => carriedOut > before);
      await server.kill();
      await server.start();
    }
    over = true;
    await callers;

    expect(carriedOut).toBeGreaterThan(4);
  });
});
