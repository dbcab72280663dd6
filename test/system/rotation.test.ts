import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, type ConnectOptions, defineTask, Worker } from "../../src/index.js";
import { describeRedis, makeCertificates, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { usersInGuide } from "../support/users-in-guide.js";

const quick = defineTask("quick");
const long = defineTask("long");

/** A client and a worker that go on throughout, with one task that runs all the time. */
async function fleet(url: string, options: (username: string) => ConnectOptions) {
  const producer = connect(url, { log: silent, ...options("producer") });
  const at = connect(url, { log: silent, ...options("worker") });
  const client = new Client(producer, { timeout: "20s" });
  const runs: string[] = [];
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const worker = new Worker(at, { leaseDuration: "10s", log: silent });
  worker.handle(quick, (_, { id }) => void runs.push(id));
  worker.handle(long, async (_, { id }) => {
    await released;
    runs.push(id);
  });
  await worker.start();
  const { id } = await client.enqueue(long());
  await until("it runs", () => worker.health().running === 1);
  const run = async () => {
    const receipt = await client.enqueue(quick());
    await until("it has run", () => runs.includes(receipt.id), 20_000);
  };
  const storage = () => client.health().storage[0]!;
  const stop = async () => {
    release();
    await until("the long one has ended", () => runs.includes(id));
    await worker.stop();
    await Promise.all([producer.close(), at.close()]);
    return { runs, counters: worker.counters() };
  };
  return { run, storage, stop };
}

const leaseOf = async ({ admin }: RedisServer) => {
  const [, untilS] = await admin.zrangebyscore("asynq:{default}:lease", "-inf", "inf", "WITHSCORES");
  return Number(untilS);
};

const clients = async ({ admin }: RedisServer) => {
  const list = (await admin.client("LIST")) as string;
  return [...list.matchAll(/^id=(\d+).* user=(?:producer|worker) /gm)].map(([, id]) => id);
};

describeRedis("while clients and workers run", () => {
  it("a user's password is changed: connections stay, new ones ask for it, the lease keeper's too", async () => {
    await using server = await RedisServer.start({ config: { user: usersInGuide() } });
    let password = "secret";
    const all = await fleet(server.url, (username) => ({ username, password: async () => password }));
    const before = await clients(server);

    for (const user of ["producer", "worker"]) await server.admin.call("ACL", "SETUSER", user, "<secret", ">fresh");
    await all.run();
    expect(await clients(server)).toEqual(expect.arrayContaining(before));

    const refused = async () => {
      const log = (await server.admin.call("ACL", "LOG")) as string[][];
      return new Set(log.filter((entry) => entry[3] === "auth").map((entry) => entry[9]));
    };
    await server.cut();
    const next = all.run();
    await until("both are refused", async () => (await refused()).size === 2);
    await until("it says why", () => all.storage().state === "degraded" && /WRONGPASS/.test(all.storage().reason));
    password = "fresh";
    await next;
    const lease = await leaseOf(server);
    await until("the lease is renewed", async () => (await leaseOf(server)) > lease);

    const { runs, counters } = await all.stop();
    expect(runs).toHaveLength(3);
    expect(counters).toMatchObject({ completed: 3, leaseLost: 0, retried: 0 });
  });

  it("certificates and their authority are changed, the clients' own too", async () => {
    await using server = await RedisServer.start({ tls: true });
    const { admin, dir } = server;
    let files = server.certificates!;
    await admin.call("CONFIG", "SET", "tls-auth-clients", "yes");
    const tls = () => ({
      ca: readFileSync(files.ca, "utf8"),
      cert: readFileSync(files.cert, "utf8"),
      key: readFileSync(files.key, "utf8"),
    });
    const all = await fleet(server.url, () => ({ tls }));

    const next = join(dir, "next");
    mkdirSync(next);
    const fresh = makeCertificates(next);
    const config = { "tls-ca-cert-file": fresh.ca, "tls-cert-file": fresh.cert, "tls-key-file": fresh.key };
    await admin.call("CONFIG", "SET", ...Object.entries(config).flat());
    await all.run();

    await server.cut();
    const run = all.run();
    await using probe = connect(server.url, { tls, timeout: "500ms", log: silent });
    const refused = () =>
      probe.ping().then(
        () => false,
        (error: Error) => error.message.includes("certificate"),
      );
    await until("the new certificate is refused", refused);
    files = fresh;
    await run;

    const { runs, counters } = await all.stop();
    expect(runs).toHaveLength(3);
    expect(counters).toMatchObject({ completed: 3, leaseLost: 0 });
  });
});
