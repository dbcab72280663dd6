import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { expect } from "vitest";
import { HoldfastError } from "../../src/core/errors.js";
import { type Given, resolve } from "../../src/core/settings.js";
import { openConnection } from "../../src/redis/open-connection.js";
import {
  type Command,
  deadline,
  LinkError,
  type RedisLink,
  type Reply,
  type ScriptCall,
} from "../../src/redis/link.js";
import { linkOptions, linkSettings } from "../../src/redis/link-options.js";
import { openLink } from "../../src/redis/open-link.js";
import { parseRedisUrl, type TlsOptions } from "../../src/redis/redis-url.js";
import type { Script } from "../../src/redis/script.js";
import { StandaloneLink } from "../../src/redis/standalone-link.js";
import { settles } from "./until.js";

/** Sent along with every call; must never be seen in an error. */
export const payload = "the-payload-that-nobody-may-see";

export function newLink(url: string, options: { timeoutMs?: number; tls?: TlsOptions } = {}): StandaloneLink {
  const read = parseRedisUrl(url);
  if (read.kind !== "server") throw new Error("the URL of one server is wanted");
  const address = { ...read.address, ...(options.tls === undefined ? {} : { tls: options.tls }) };
  return new StandaloneLink({ label: address.label, timeoutMs: options.timeoutMs ?? 500 }, (...how) =>
    openConnection(address, ...how),
  );
}

/** The link that the engine would open for such options. */
export function linkTo(url: string, options: Given<typeof linkSettings> = {}): RedisLink {
  return openLink(linkOptions(resolve(linkSettings, { url, timeout: "500ms", ...options }, "link"), "link"));
}

export function script(name: string, text: string): Script {
  return { name, text, sha1: createHash("sha1").update(text).digest("hex") };
}

const fenced = (act: string) => `
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then return redis.error_reply("STALE " .. now_ms) end
${act}`;

const counting = script("count", fenced('return redis.call("INCR", KEYS[1])'));
const adding = script("add", fenced('return redis.call("INCRBY", KEYS[1], ARGV[3])'));

/** Adds one to a counter, with a deadline. */
export const count = (key: string): ScriptCall => ({ script: counting, keys: [key], args: [deadline, payload] });
export const add = (key: string, n: number): ScriptCall => ({
  script: adding,
  keys: [key],
  args: [deadline, payload, n],
});

export const command = (name: string, ...args: (string | number | Uint8Array)[]): Command => ({ name, args });

/** The HoldfastError a call fails with; it must come within the link's deadline plus a second, and tell no secrets. */
export async function failure(call: Promise<unknown>, withinMs = 1_500): Promise<HoldfastError<"BROKER_UNAVAILABLE">> {
  const error = await settles(
    "the call",
    call.then(
      (reply) => ({ reply }),
      (thrown: unknown) => thrown,
    ),
    withinMs,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  expectNoSecrets(error);
  return error as HoldfastError<"BROKER_UNAVAILABLE">;
}

/** The LinkError that stands in place of a reply. */
export function refusal(reply: Reply | undefined): LinkError {
  expect(reply).toBeInstanceOf(LinkError);
  expectNoSecrets(reply);
  return reply as LinkError;
}

function expectNoSecrets(error: unknown): void {
  const everything = inspect(error, { depth: 10, showHidden: true });
  for (const secret of [payload, "pass-w0rd"]) expect(everything).not.toContain(secret);
}
