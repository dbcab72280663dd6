import { describe, expect, it } from "vitest";
import { storedFailure } from "../../src/broker/failures.js";
import { decodeMessage } from "../../src/core/codec.js";
import { taskHeaders } from "../../src/core/names.js";
import { decodePayload, json } from "../../src/core/payload.js";
import { Client, defineTask, Worker } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";

const shared = { Object, Array, Function, String, Number, Map, Set, Promise, Error, Buffer, Uint8Array, RegExp, Date };

/** Every property of what all code shares, with its value. */
function globals(): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [name, one] of Object.entries(shared)) {
    for (const owner of [one, one.prototype as object]) {
      for (const key of Reflect.ownKeys(owner)) {
        const property = Object.getOwnPropertyDescriptor(owner, key)!;
        found.set(
          `${name}${owner === one ? "" : ".prototype"}.${String(key)}`,
          "value" in property ? property.value : "an accessor",
        );
      }
    }
  }
  return found;
}

const changed = (before: Map<string, unknown>, after: Map<string, unknown>) =>
  [...new Set([...before.keys(), ...after.keys()])].filter(
    (name) => before.has(name) !== after.has(name) || !Object.is(before.get(name), after.get(name)),
  );

const poison = [
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"a":{"__proto__":{"toString":"x"}}}',
  '{"prototype":{"polluted":1},"toString":1,"hasOwnProperty":1}',
];

describe("__proto__, constructor and prototype", () => {
  it.each(poison)("change nothing that others share, wherever they come in: %s", async (text) => {
    const before = globals();
    const quietly = (work: () => unknown) => {
      try {
        Object.assign({}, work());
      } catch {
        // Refused: that is fine, too.
      }
    };
    const given = () => JSON.parse(text) as never;

    quietly(() => decodePayload(json, Buffer.from(text), "t"));
    quietly(() => json.encode(given()));
    quietly(() => taskHeaders(given(), "headers"));
    quietly(() => storedFailure(`{"reason":"failed","message":"x",${text.slice(1)}`));
    quietly(() => defineTask("t", given()));
    quietly(() => new Worker(testBroker(), given()));
    quietly(() => new Client(testBroker(), given()));
    // A header by the name of __proto__, as a Go client may send it.
    quietly(() => decodeMessage(Buffer.from("7a0e0a095f5f70726f746f5f5f1201787a00", "hex")).headers);

    expect(changed(before, globals())).toEqual([]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it("would be noticed", () => {
    const before = globals();
    const poisoned: { polluted?: number } = Object.getPrototypeOf({});
    poisoned.polluted = 1;
    const after = globals();
    delete poisoned.polluted;

    expect(changed(before, after)).toEqual(["Object.prototype.polluted"]);
  });
});
