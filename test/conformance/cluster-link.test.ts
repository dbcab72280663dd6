import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { keysOf } from "../../src/redis/keys.js";
import { LinkError, type RedisLink } from "../../src/redis/link.js";
import { slotOf } from "../../src/redis/slots.js";
import { command, count, failure, linkTo, refusal, script } from "../support/link-probe.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis, freePort, RedisServer } from "../support/redis-server.js";
import { seeded } from "../support/seeded.js";
import { settles, until } from "../support/until.js";

describeRedis("link to a Cluster", () => {
  let cluster: RedisCluster;
  let link: RedisLink;

  beforeAll(async () => {
    cluster = await RedisCluster.start();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    await Promise.all(cluster.masters.map(({ admin }) => admin.flushall()));
    link = linkTo(cluster.url);
  });
  afterEach(async () => {
    for (const master of cluster.masters) master.thaw();
    await settles("close", link.close(), 2_000);
  });

  /** A key on the node of that number. */
  const keyOn = (node: number, name = "key") => {
    for (let n = 0; ; n++) {
      const key = `${name}-{${n}}`;
      if (cluster.masterOf(key) === cluster.masters[node]) return key;
    }
  };

  it("knows a key's slot as the server does", async () => {
    const random = seeded(5);
    const pieces = ["a", "{", "}", "ä", "7", ":", "\u{1f600}"];
    const keys = Array.from({ length: 300 }, () =>
      Array.from({ length: random() * 12 }, () => pieces[Math.floor(random() * pieces.length)]!).join(""),
    );

    for (const key of keys)
      expect([key, slotOf(key)]).toEqual([key, await cluster.masters[0]!.admin.cluster("KEYSLOT", key)]);
  });

  it("sends each call to its node and answers in order", async () => {
    const keys = Array.from({ length: 30 }, (_, n) => keyOn(n % 3, `k${n}`));

    const replies = await link.run([
      ...keys.map((key, n) => command("SET", key, n)),
      ...keys.map((key) => command("GET", key)),
      count(keyOn(1, "counter")),
      command("LPUSH", keys[0]!, "x"),
      command("PING"),
    ]);

    expect(replies.slice(30, 60).map(String)).toEqual(keys.map((_, n) => String(n)));
    expect(replies[60]).toBe(1);
    expect(refusal(replies[61]).code).toBe("WRONGTYPE");
    expect(String(replies[62])).toBe("PONG");
  });

  it("finds the Cluster by any of its nodes", async () => {
    const [first] = cluster.masters;
    await using one = {
      link: linkTo(`redis-cluster://127.0.0.1:${await freePort()},127.0.0.1:${first!.port}`),
      [Symbol.asyncDispose]: () => one.link.close(),
    };

    const nodes = await one.link.nodes();

    expect(new Set(nodes.map(({ address }) => address.port))).toEqual(new Set(cluster.masters.map(({ port }) => port)));
    for (const node of nodes) expect(String((await node.run([command("CLUSTER", "MYID")]))[0])).toHaveLength(40);
  });

  it("leaves the calls to other nodes alone when one does not answer", async () => {
    await link.run([0, 1, 2].map((node) => count(keyOn(node))));
    cluster.masters[1]!.freeze();

    const replies = await link.run([0, 1, 2].map((node) => count(keyOn(node))));

    expect([replies[0], replies[2]]).toEqual([2, 2]);
    expect(refusal(replies[1])).toMatchObject({
      outcome: "unknown",
      problem: expect.stringContaining("no reply within"),
    });
    expect((await failure(link.run([count(keyOn(1))], { taskIds: ["a"] }))).data).toMatchObject({
      broker: cluster.url,
      taskIds: ["a"],
    });
  });

  it("does not wait for a node that was away a moment ago, when told not to insist", async () => {
    await link.run([0, 1, 2].map((node) => count(keyOn(node))));
    cluster.masters[1]!.freeze();
    await failure(link.run([count(keyOn(1))], { insist: false }));
    await failure(link.run([count(keyOn(1))], { insist: false }));
    const startedMs = performance.now();

    const replies = await link.run(
      [0, 1, 2].map((node) => count(keyOn(node))),
      { insist: false },
    );

    expect(performance.now() - startedMs).toBeLessThan(250);
    expect([replies[0], replies[2]]).toEqual([2, 2]);
    expect(refusal(replies[1]).outcome).toBe("refused");
  });

  it("follows a slot to its new node", async () => {
    const key = keyOn(0, "moved");
    const to = cluster.masters[2]!;
    await link.run([count(key), command("SET", key, 5)]);
    await cluster.beginMove(key, to);
    while ((await cluster.moveKeys(key, to, 10)) > 0);
    await cluster.endMove(key, to);

    const replies = await link.run([command("GET", key), count(key), count(keyOn(1))]);

    expect([String(replies[0]), replies[1], replies[2]]).toEqual(["5", 6, 1]);
    // Back again, for the others.
    await to.admin.flushall();
    const from = cluster.masterOf(key);
    await Promise.all(
      cluster.masters.map(async ({ admin }) =>
        admin.cluster("SETSLOT", slotOf(key), "NODE", await from.admin.cluster("MYID")),
      ),
    );
    expect(await link.run([command("GET", key)])).toEqual([null]);
  });

  it("comes back to a slot that nobody had for a while, though no node is asked for it meanwhile", async () => {
    const queue = "nobodys";
    const key = keysOf(queue).asynq;
    const slot = slotOf(key);
    const from = cluster.masterOf(key);
    // The others hear of the slot from whoever has it, so that one goes first.
    await from.admin.cluster("DELSLOTS", slot);
    for (const { admin } of cluster.masters.filter((master) => master !== from)) await admin.cluster("DELSLOTS", slot);
    await until("its map lacks the slot", async () => {
      const [reply] = await link.run([count(key)]);
      return reply instanceof LinkError && reply.problem.includes(`no node has slot ${slot}`);
    });
    expect((await failure(link.nodesOf([queue]))).message).toContain("no node has the slot");

    await from.admin.cluster("ADDSLOTS", slot);

    await until("its node answers", async () => (await link.run([count(key)]))[0] === 1);
    expect((await link.nodesOf([queue]))[0]!.address.port).toBe(from.port);
    // Until the others have heard of it they refuse everything.
    for (const { admin } of cluster.masters)
      await until("it knows of all slots", async () => /cluster_state:ok/.test(await admin.cluster("INFO")));
  });

  it("finds a slot's keys on both nodes while it moves, and runs no script on half of them", async () => {
    const key = keyOn(0, "a");
    const other = key.replace("a-", "b-");
    const to = cluster.masters[2]!;
    const both = { script: script("both", 'return redis.call("EXISTS", KEYS[1])'), keys: [key, other], args: [] };
    await link.run([command("SET", key, "here"), command("SET", other, "there")]);
    await cluster.beginMove(key, to);
    await cluster.masterOf(key).admin.call("MIGRATE", "127.0.0.1", to.port, other, 0, 1_000);

    const replies = await link.run([command("GET", key), command("GET", other), count(`${key}-new`), both]);

    expect([String(replies[0]), String(replies[1]), replies[2]]).toEqual(["here", "there", 1]);
    expect(refusal(replies[3])).toMatchObject({ outcome: "refused", code: "TRYAGAIN" });
    while ((await cluster.moveKeys(key, to, 10)) > 0);
    await cluster.endMove(key, to);
    expect(await link.run([both])).toEqual([1]);
  });

  it("asks for the password of each new connection, to any node", async () => {
    const setUser = (...rules: string[]) =>
      Promise.all(
        cluster.masters.map(({ admin }) => admin.call("ACL", "SETUSER", "bob", "on", "+@all", "~*", ...rules)),
      );
    await setUser(">old-pass-w0rd");
    let password = "old-pass-w0rd";
    const bobs = linkTo(cluster.url, { username: "bob", password: () => password });
    const everywhere = [0, 1, 2].map((node) => count(keyOn(node)));
    expect(await bobs.run(everywhere, { timeoutMs: 5_000 })).toEqual([1, 1, 1]);

    await setUser("<old-pass-w0rd", ">new-pass-w0rd");
    for (const master of cluster.masters) await master.cut();
    expect((await failure(bobs.run(everywhere))).data).toMatchObject({
      outcome: "refused",
      problem: expect.stringMatching(/WRONGPASS/),
    });
    password = "new-pass-w0rd";

    const all = async () => (await bobs.run(everywhere).catch(() => [])).every((reply) => reply === 2);
    await until("it is let in everywhere", all);
    await bobs.close();
  });

  it("says what is wrong when there is no Cluster", async () => {
    await using single = await RedisServer.start();
    await using locked = await RedisServer.start({ config: { requirepass: "pass-w0rd", "cluster-enabled": "yes" } });
    const links = [
      linkTo(`redis-cluster://127.0.0.1:${await freePort()}`),
      linkTo(single.url.replace("redis:", "redis-cluster:")),
      linkTo(`redis-cluster://:not-pass-w0rd@127.0.0.1:${locked.port}`),
    ];

    const [none, plain, wrong] = await Promise.all(
      links.map((one) => failure(one.run([count("a")], { taskIds: ["t"] }))),
    );

    expect(none!.data).toMatchObject({
      outcome: "notSent",
      taskIds: ["t"],
      problem: expect.stringContaining("ECONNREFUSED"),
    });
    expect(plain!.message).toContain("is not a node of a Redis Cluster: write redis://");
    expect(wrong).toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringContaining("check user and password"),
    });
    await Promise.all(links.map((one) => one.close()));
  });
});
