import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failure, message } from "../../../test/support/builders.js";
import { seed } from "../../../test/support/seed.js";
import { fingerprintOf } from "../../core/fingerprint.js";
import type { TaskInfo } from "../../core/info.js";
import type { TaskMessage } from "../../core/message.js";
import { newId } from "../../core/ids.js";
import { compareDecimals } from "./decimal.js";
import { matcherOf } from "./match.js";
import { parseSearch } from "./parse.js";

const nowMs = Date.UTC(2031, 0, 1, 12);
const hour = 3_600_000;

function dead(fields: Partial<TaskMessage> = {}, more: Partial<TaskInfo> = {}): TaskInfo {
  const id = newId(nowMs - 30 * hour);
  return {
    id,
    queue: "billing",
    state: "archived",
    message: message({
      id,
      queue: "billing",
      type: "invoice.send",
      retried: 3,
      lastFailedAtMs: nowMs - 3 * hour,
      ...fields,
    }),
    bytes: new Uint8Array(0),
    dueAtMs: undefined,
    archivedAtMs: nowMs - 25 * hour,
    result: undefined,
    failure: failure({
      reason: "lease_expired",
      class: "SmtpError",
      message: "Timeout while talking to smtp.example",
      startedAtMs: nowMs - 4 * hour,
      durationMs: 45_000,
    }),
    crashes: 1,
    ...more,
  };
}
const matches = (search: string, task: TaskInfo) => matcherOf(parseSearch(search), nowMs)(task);
const withPayload = (json: string) => dead({ payload: Buffer.from(json) });

describe("matcherOf", () => {
  it.each([
    "state:dead",
    "state:any",
    "state:retry,archived",
    "queue:billing",
    "queue:bill*",
    "queue:other,billing",
    "queue~ILL",
    "type:invoice.*",
    "type:*.send",
    "type:i*e.*d",
    'type:"invoice.send"',
    "-type:noise",
    "reason:lease_expired",
    "class:SmtpError",
    'err~"timeout"',
    "err~time*smtp",
    "failed:>2h",
    "failed:<=3h",
    "failed:<2031-01-01T09:00:01Z",
    "failed:>=2031-01-01",
    "age:>24h",
    "age:<26h",
    "enqueued:>29h",
    "retried:3",
    "retried:1,3",
    "retried:>=3",
    "-retried:>3",
    "crashes:>0",
    "took:>30s",
    "header.traceparent:00-4bf92f*",
    "header.x.tenant:acme",
    'header."x.tenant"~ACM',
    "-header.none:*",
    "timeout",
    '"talking to smtp"',
    "ACME",
    '"acme"',
    "-Nobody",
  ])("finds the task by %s", (search) => {
    const headers = { traceparent: "00-4bf92f3577b34da6", "x.tenant": "acme" };

    expect(matches(search, dead({ headers }))).toBe(true);
    const negated = search.startsWith("-") ? search.slice(1) : `-${search}`;
    expect(matches(negated, dead({ headers }))).toBe(false);
  });

  it.each([
    "state:retry",
    "queue:bill",
    "queue:Billing",
    'queue:"bill*"',
    "type:send",
    "type:invoice.*d*d",
    "reason:timeout",
    'err~"time*smtp"',
    "failed:>3h",
    "failed:>2031-01-01T09:00:00Z",
    "age:<=24h",
    "enqueued:<1d",
    "retried:<3",
    "took:>45s",
    "header.traceparent:00",
    '"TALKING"',
    "payload.a:*",
  ])("does not find it by %s", (search) => {
    expect(matches(search, dead())).toBe(false);
  });

  it("finds a failure by its fingerprint, and by the beginning of it", () => {
    const task = dead();
    const fingerprint = fingerprintOf("invoice.send", task.failure!);

    expect(matches(`fp:${fingerprint}`, task)).toBe(true);
    expect(matches(`fp:v1:00,${fingerprint.slice(0, 7)}`, task)).toBe(true);
    expect(matches(`fp:${fingerprint}`, dead({ type: "other" }))).toBe(false);
    expect(matches("fp:v1:", dead({}, { failure: undefined }))).toBe(false);
  });

  it("knows when a task of Go failed, and not when it was enqueued", () => {
    const go = dead({ lastError: "smtp: timeout" }, { id: "f1b2", failure: undefined });

    expect(matches("failed:>2h err~timeout", go)).toBe(true);
    expect(matches("enqueued:>0s", go)).toBe(false);
    expect(matches("failed:>0s", dead({ lastFailedAtMs: 0 }, { failure: undefined }))).toBe(false);
  });

  it("finds what cannot be decoded by what is known of it", () => {
    const broken = dead({}, { message: undefined });

    expect(matches("queue:billing reason:lease_expired -type:x -payload.a:1 -header.a:b", broken)).toBe(true);
    expect(matches("type:*", broken)).toBe(false);
  });

  it.each([
    ["payload.customer.id:42", '{"customer":{"id":42}}', true],
    ["payload.customer.id:42", '{"customer":{"id":"42"}}', true],
    ["payload.customer.id:42", '{"customer":{"id":42.0e0}}', true],
    ["payload.customer.id:42", '{"customer":{"id":421}}', false],
    ['payload.customer.id:"42"', '{"customer":{"id":42}}', false],
    ["payload.id:9007199254740993", '{"id":9007199254740993}', true],
    ["payload.id:9007199254740993", '{"id":9007199254740992}', false],
    ["payload.id:>9007199254740992", '{"id":9007199254740993}', true],
    ["payload.id:>9007199254740992", '{"id":"9007199254740993"}', true],
    ["payload.id:>9007199254740993", '{"id":9007199254740993}', false],
    ["payload.id:<0", '{"id":-0.5}', true],
    ["payload.ok:true", '{"ok":true}', true],
    ["payload.ok:null", '{"ok":null}', true],
    ['payload.ok:"true"', '{"ok":true}', false],
    ["payload.ok:*", '{"ok":{"a":1}}', true],
    ["payload.ok:*", '{"no":{"ok":1}}', false],
    ["payload.items.1.sku:b", '{"items":[{"sku":"a"},{"sku":"b"}]}', true],
    ["payload.items.0.sku:b", '{"items":[{"sku":"a"},{"sku":"b"}]}', false],
    ["payload.items.*.sku:b", '{"items":[{"sku":"a"},{"sku":"b"}]}', true],
    ['payload.items."*".sku:b', '{"items":[{"sku":"b"}]}', false],
    ['payload."a.b":1', '{"a.b":1}', true],
    ["payload.a:x", '{"b":{"a":"x"},"a":"y"}', false],
    ["payload.a:x", '{"b":"{\\"a\\":\\"x\\"}","a":"y"}', false],
    ["payload.to:ann*", '{"to":"\\u0061nn@example.com"}', true],
    ["payload.to~EXAMPLE", '{"to":"ann@example.com"}', true],
    ["payload~EXAMPLE", '{"to":"ann@example.com"}', true],
    ["payload.0:1", "[1]", true],
    ["payload.a:1", '{"a":1', true],
    ["payload.a:1", '{"b":[1,2}', false],
    ["payload.a:1", '{"b":"\\u12"}', false],
    ["payload.a:1", "", false],
    ["payload.a:1", '{"b":nope,"a":1}', false],
  ])("%s of %s: %s", (search, json, expected) => {
    expect(matches(search, withPayload(json))).toBe(expected);
  });

  it("finds nothing in a payload that is no text", () => {
    const bytes = dead({ payload: Uint8Array.of(0xff, 0xfe) });

    expect(matches("payload~a", bytes)).toBe(false);
    expect(matches("payload.a:1", bytes)).toBe(false);
  });

  it("finds each value of any JSON at its path, as it is written", () => {
    const places = (value: unknown): { path: string; text: string; isString: boolean }[] => {
      if (typeof value !== "object" || value === null)
        return [
          {
            path: "",
            text: typeof value === "string" ? value : JSON.stringify(value),
            isString: typeof value === "string",
          },
        ];
      return Object.entries(value).flatMap(([name, child]) =>
        places(child).map((place) => ({ ...place, path: `.${JSON.stringify(name)}${place.path}` })),
      );
    };
    const leaf = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("any"), { maxLength: 4 }),
        fc.dictionary(fc.string({ maxLength: 5 }), tie("any"), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1), (payload, indent) => {
        const task = withPayload(JSON.stringify(payload, undefined, indent));
        for (const { path, text, isString } of places(payload).slice(0, 20)) {
          if (path === "") continue;
          const wanted = isString ? JSON.stringify(text) : text;
          expect(matches(`payload${path}:${wanted}`, task), path).toBe(true);
        }
      }),
      { numRuns: 300, seed },
    );
  });

  it("takes time in proportion to the task, whatever is asked for", () => {
    const long = "a".repeat(500_000);
    const payloads = [
      `{"a":"${long}"}`,
      "[".repeat(300_000),
      `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`,
      `"${"\\".repeat(399_999)}`,
    ];
    const searches = [
      `payload~${"a*".repeat(99)}b`,
      `payload~${"a".repeat(100)}b${"a".repeat(99)}`,
      "payload.*.*.*.*:b",
      `payload.b:${"a*".repeat(99)}`,
      `"${"a".repeat(199)}b"`,
    ];

    for (const search of searches) {
      for (const payload of payloads) {
        const startedMs = performance.now();
        matches(search, withPayload(payload));
        expect(performance.now() - startedMs, `${search.slice(0, 20)} of ${payload.slice(0, 10)}`).toBeLessThan(500);
      }
    }
  });
});

describe("compareDecimals", () => {
  it("orders whole numbers of any length, and what is a power of ten apart", () => {
    fc.assert(
      fc.property(
        fc.bigInt(-(10n ** 30n), 10n ** 30n),
        fc.bigInt(-(10n ** 30n), 10n ** 30n),
        fc.integer({ min: 0, max: 40 }),
        (a, b, power) => {
          const order = a < b ? -1 : a > b ? 1 : 0;
          expect(compareDecimals(String(a), String(b))).toBe(order);
          expect(compareDecimals(`${a}e-${power}`, `${b}e-${power}`)).toBe(order);
          expect(compareDecimals(`${a}${"0".repeat(power)}`, `${a}.000e+${power}`)).toBe(0);
        },
      ),
      { numRuns: 500, seed },
    );
    expect(compareDecimals("-0", "0.000")).toBe(0);
    expect(compareDecimals("0.009", "0.01")).toBe(-1);
    expect(compareDecimals("1e999999999999", "1")).toBe(1);
  });
});
