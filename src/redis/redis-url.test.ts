import { describe, expect, it } from "vitest";
import { HoldfastError } from "../core/errors.js";
import { resolve } from "../core/settings.js";
import { linkOptions, linkSettings } from "./link-options.js";
import { parseRedisUrl } from "./redis-url.js";

const problemOf = (call: () => unknown) => {
  try {
    call();
  } catch (error) {
    if (HoldfastError.is(error, "OPTION_INVALID")) return error.message;
  }
  throw new Error("no OPTION_INVALID");
};

describe("a Redis URL", () => {
  const tcp = {
    host: "localhost",
    port: 6379,
    path: undefined,
    username: undefined,
    password: undefined,
    db: 0,
    tls: undefined,
  };

  it.each([
    ["redis://", { label: "redis://localhost:6379" }],
    ["redis://example.org", { host: "example.org", label: "redis://example.org:6379" }],
    ["redis://example.org:7000/", { host: "example.org", port: 7000, label: "redis://example.org:7000" }],
    ["redis://[::1]:7000/3", { host: "::1", port: 7000, db: 3, label: "redis://[::1]:7000/3" }],
    ["redis:///2", { db: 2, label: "redis://localhost:6379/2" }],
    ["rediss://example.org", { host: "example.org", tls: {}, label: "rediss://example.org:6379" }],
    ["redis://:pass@localhost", { password: "pass", label: "redis://localhost:6379" }],
    ["redis://bob:p%40ss%2F%C3%A4@localhost", { username: "bob", password: "p@ss/ä", label: "redis://localhost:6379" }],
    ["redis://bob@localhost", { username: "bob", password: "", label: "redis://localhost:6379" }],
    ["redis://localhost?timeout=250ms", { timeoutMs: 250, label: "redis://localhost:6379" }],
    ["REDIS://localhost", { label: "redis://localhost:6379" }],
    [
      "redis-socket:///run/redis.sock?db=2&timeout=1s",
      {
        host: "",
        port: 0,
        path: "/run/redis.sock",
        db: 2,
        timeoutMs: 1_000,
        label: "redis-socket:///run/redis.sock?db=2",
      },
    ],
    [
      "redis-socket://:pass@/run/my%20redis.sock",
      { host: "", port: 0, path: "/run/my redis.sock", password: "pass", label: "redis-socket:///run/my redis.sock" },
    ],
  ])("%s is understood", (url, { timeoutMs, ...expected }: { label: string; timeoutMs?: number }) => {
    expect(parseRedisUrl(url)).toEqual({
      kind: "server",
      label: expected.label,
      timeoutMs,
      address: { ...tcp, ...expected },
    });
  });

  it("names some nodes of a Cluster", () => {
    expect(parseRedisUrl("redis-cluster://bob:p%40ss@a:7000,b,[::1]:7002?timeout=5s")).toEqual({
      kind: "cluster",
      label: "redis-cluster://a:7000,b:6379,[::1]:7002",
      timeoutMs: 5_000,
      nodes: [
        { ...tcp, label: "redis://a:7000", host: "a", port: 7000, username: "bob", password: "p@ss" },
        { ...tcp, label: "redis://b:6379", host: "b", username: "bob", password: "p@ss" },
        { ...tcp, label: "redis://[::1]:7002", host: "::1", port: 7002, username: "bob", password: "p@ss" },
      ],
    });
    expect(parseRedisUrl("rediss-cluster://a")).toMatchObject({ kind: "cluster", nodes: [{ tls: {} }] });
  });

  it("names Sentinels, their password, and their master with its database", () => {
    expect(parseRedisUrl("redis-sentinel://:their-own@a,b:5000/2?master=tasks")).toEqual({
      kind: "sentinel",
      label: "redis-sentinel://a:26379,b:5000/2?master=tasks",
      timeoutMs: undefined,
      sentinels: [
        { ...tcp, label: "redis://a:26379", host: "a", port: 26379, password: "their-own" },
        { ...tcp, label: "redis://b:5000", host: "b", port: 5000, password: "their-own" },
      ],
      master: "tasks",
      db: 2,
    });
    expect(parseRedisUrl("rediss-sentinel://a?master=m")).toMatchObject({ db: 0, sentinels: [{ tls: {} }] });
  });

  it.each([
    [undefined, "must be a URL, got undefined"],
    [6379, "must be a URL, got 6379"],
    ["", "must be redis://"],
    ["localhost:6379", "must be redis://"],
    ["http://localhost", "must be redis://"],
    ["redis-sentinel://:secret@a,b/0", "must name the master that the Sentinels watch"],
    ["redis-sentinel://:secret@a,b/0?master=", "must name the master that the Sentinels watch"],
    ["redis-sentinel://:secret@a,b/x?master=m", "must name a database by its number"],
    ["redis-sentinel://:secret@a,b:0?master=m", "must have a port between 1 and 65535"],
    ["redis-sentinel://:secret@a, b?master=m", "is not a valid URL"],
    ["rediss-cluster://:secret@a:1,b:99999", "is not a valid URL"],
    ["redis-sentinel://:secret@a?master=m%1b", "must not hold control characters"],
    ["redis-cluster://:secret@a/2", "must not name a database"],
    ["redis-cluster://:secret@a?master=m", "has an unknown parameter; there are timeout"],
    ["redis-cluster://:secret#@a", "write # / ? @ : % as %23"],
    ["redis://:secret@a:1,b:2", "several are for redis-cluster:// and redis-sentinel://"],
    ["redis://:secret@localhost:99999", "is not a valid URL"],
    ["redis://:secret@localhost:0", "must have a port between 1 and 65535"],
    ["redis://:secret#1@localhost", "write # / ? @ : % as %23"],
    ["redis://:secret%@localhost", "has a % that is not followed by two hex digits"],
    [
      "redis://:p@ss/secret@localhost",
      "has a / in its user or password (in a user or password, write # / ? @ : % as %23",
    ],
    ["redis-cluster://:p/secret@a,b", "has a / in its user or password"],
    ["redis://localhost/first", "must name a database by its number, such as /2"],
    ["redis://localhost/-1", "must name a database by its number"],
    ["redis://localhost/1/2", "must name a database by its number"],
    ["redis://localhost?db=2", "has an unknown parameter; there are timeout"],
    ["redis://localhost?timeout=2", "url?timeout: must be a duration"],
    ["redis://localhost?timeout=1ms", "url?timeout: must be a duration, 50ms … 1h"],
    ["redis-socket://run/redis.sock", "with three slashes"],
    ["redis-socket:///", "with three slashes"],
    ["redis-socket:///redis.sock?db=x", "must name a database by its number"],
  ])("%s is refused, and its password not shown", (url, expected) => {
    const problem = problemOf(() => parseRedisUrl(url));

    expect(problem).toContain(expected);
    expect(problem).not.toContain("secret");
  });
});

describe("the options of a link", () => {
  const linkOf = (options: Parameters<typeof resolve<typeof linkSettings>>[1]) =>
    linkOptions(resolve(linkSettings, options, "link"), "link");

  it("has defaults, and takes the timeout from the URL before its own", () => {
    expect(linkOf({})).toMatchObject({ address: { host: "localhost", port: 6379 }, timeoutMs: 2_000 });
    expect(linkOf({ timeout: "3s" })).toMatchObject({ timeoutMs: 3_000 });
    expect(linkOf({ url: "redis://localhost?timeout=1s", timeout: "3s" })).toMatchObject({ timeoutMs: 1_000 });
  });

  it("takes certificates for rediss: alone", () => {
    expect(linkOf({ url: "rediss://localhost", tls: { ca: "PEM" } })).toMatchObject({
      address: { tls: { ca: "PEM" } },
    });
    expect(linkOf({ url: "rediss-sentinel://a?master=m", tls: { ca: "PEM" } })).toMatchObject({
      sentinels: [{ tls: { ca: "PEM" } }],
      data: { tls: { ca: "PEM" } },
    });
    for (const tls of [{ ca: "PEM" }, () => ({ ca: "PEM" })]) {
      expect(problemOf(() => linkOf({ tls }))).toBe("link.tls: is for URLs that begin with rediss only");
    }
  });

  it("takes user and password apart from the URL, which with Sentinels holds theirs", () => {
    const who = { username: "bob", password: "secret" };

    expect(linkOf({ url: "redis://a", ...who })).toMatchObject({ address: who });
    expect(linkOf({ url: "redis-cluster://a,b", ...who })).toMatchObject({ seeds: [who, who] });
    expect(linkOf({ url: "redis-sentinel://:theirs@a/3?master=m", ...who })).toMatchObject({
      sentinels: [{ username: undefined, password: "theirs" }],
      data: { ...who, db: 3 },
    });
    for (const url of ["redis://:other@a", "redis-cluster://bob:other@a"]) {
      const problem = problemOf(() => linkOf({ url, ...who }));
      expect(problem).toBe("link.password: is in the URL, too: give it in one place");
    }
    expect(problemOf(() => linkOf({ username: "bob" }))).toContain("link.username: needs a password, too");
    expect(linkOf({ url: "redis://bob@a", password: "secret" })).toMatchObject({ address: who });
    expect(problemOf(() => linkOf({ url: "redis://bob@a", ...who }))).toBe(
      "link.username: is in the URL, too: give it in one place",
    );
    expect(linkOf({ url: "redis-sentinel://watcher@a?master=m", sentinelPassword: "theirs" })).toMatchObject({
      sentinels: [{ username: "watcher", password: "theirs" }],
      data: { password: undefined },
    });
    expect(problemOf(() => linkOf({ url: "redis-sentinel://:other@a?master=m", sentinelPassword: "theirs" }))).toBe(
      "link.sentinelPassword: is in the URL, too: give it in one place",
    );
    expect(problemOf(() => linkOf({ sentinelPassword: "theirs" }))).toContain(
      "is for URLs that begin with redis-sentinel",
    );
    expect(problemOf(() => linkOf({ password: 5_417 as never }))).toBe(
      "link.password: must be text, got a value of type number",
    );
  });

  it.each([
    [{ url: "http://localhost" }, "link.url: must be redis://"],
    [{ timeout: "5" as never }, "link.timeout: must be a duration"],
    [{ timeout: "1ms" as never }, "link.timeout: must be a duration, 50ms … 1h"],
    [{ tls: "PEM" as never }, "link.tls: must be an object of ca, cert, key"],
    [{ tls: { pfx: "x" } }, "link.tls.pfx: is not an option"],
    [{ tls: { ca: true } }, "link.tls.ca: must be a string, got a value of type boolean"],
    [{ tls: { rejectUnauthorized: "no" } }, "link.tls.rejectUnauthorized: must be a boolean"],
  ])("refuses %o", (options, expected) => {
    expect(problemOf(() => linkOf(options))).toContain(expected);
  });
});
