import { describe, expect, it } from "vitest";
import { DisciplinedClock } from "../core/clock.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { checkServer } from "./server-check.js";

const address = {
  label: "redis://test",
  host: "test",
  port: 6379,
  path: undefined,
  username: undefined,
  password: undefined,
  db: 0,
  tls: undefined,
};

/** A server that answers INFO server, INFO memory, SET and GET of the schema's version like this. */
function linkThatAnswers(...replies: Reply[]): RedisLink {
  return {
    label: "redis://test",
    clock: new DisciplinedClock(),
    oneSlotPerCall: false,
    run: async () => replies.slice(2),
    nodes: async () => [{ address, run: async () => replies.slice(0, 2) }],
    nodesOf: async () => [],
    shardOf: () => undefined,
    ping: async () => {},
    onConnected: () => {},
    distrust: () => {},
    close: async () => {},
  };
}

const text = (...lines: string[]) => Buffer.from(lines.join("\r\n"));
const server = (version: string, mode = "standalone") =>
  text("# Server", `redis_version:${version}`, `redis_mode:${mode}`, "");
const memory = (policy = "noeviction") => text("# Memory", "used_memory:1", `maxmemory_policy:${policy}`);
const forbidden = new LinkError("refused", "NOPERM", "NOPERM this user has no permissions to run the 'info' command");

function check(replies: Reply[], allowEviction = false): { warnings: string[]; done: Promise<boolean> } {
  const warnings: string[] = [];
  const quiet = () => {};
  const log = {
    debug: quiet,
    info: quiet,
    warn: (_: object, sentence: string) => void warnings.push(sentence),
    error: quiet,
  };
  return { warnings, done: checkServer(linkThatAnswers(...replies), { allowEviction, log }) };
}

describe("the look at a server before its first call", () => {
  it.each(["6.2.0", "7.0.15", "7.2.4", "8.0.1", "10.0.0"])("takes Redis %s", async (version) => {
    const { warnings, done } = check([server(version), memory(), Buffer.from("OK"), Buffer.from("1")]);
    await done;

    expect(warnings).toEqual([]);
  });

  it.each(["5.0.14", "6.0.16", "2.8.24"])("refuses Redis %s", async (version) => {
    await expect(check([server(version), memory(), null, Buffer.from("1")]).done).rejects.toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: `redis://test cannot be used: Redis ${version} is too old, 6.2 is the oldest that works`,
    });
  });

  it("refuses a node of a Cluster", async () => {
    await expect(check([server("7.0.15", "cluster"), memory(), null, null]).done).rejects.toThrow("Redis Cluster");
  });

  it("refuses one that evicts, unless told that this is acceptable", async () => {
    const replies = [server("7.0.15"), memory("allkeys-lru"), null, Buffer.from("1")];

    await expect(check(replies).done).rejects.toThrow("maxmemory-policy is allkeys-lru");
    await check(replies, true).done;
  });

  it("refuses data of a newer version, or of none that can be told", async () => {
    await expect(check([server("7.0.15"), memory(), null, Buffer.from("2")]).done).rejects.toThrow(
      "its data are of version 2",
    );
    await expect(check([server("7.0.15"), memory(), null, Buffer.from("x")]).done).rejects.toThrow(
      "its data are of version x",
    );
  });

  it("goes on where INFO is not allowed, and says so", async () => {
    const { warnings, done } = check([forbidden, forbidden, Buffer.from("OK"), Buffer.from("1")]);
    await done;

    expect(warnings).toEqual(["INFO is not allowed for this user: version and eviction policy were not checked"]);
  });

  it("is not passed by a server that cannot answer yet", async () => {
    const loading = new LinkError("refused", "LOADING", "LOADING Redis is loading the dataset in memory");

    await expect(check([server("7.0.15"), memory(), loading, loading]).done).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
    });
  });
});
