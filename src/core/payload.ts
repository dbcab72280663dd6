import { HoldfastError } from "./errors.js";
import { setting } from "./settings.js";

/** An option of everybody who writes payloads. */
export const payloadSettings = {
  maxPayloadBytes: setting.integer({
    default: 1_048_576,
    min: 1,
    max: 64 * 1_048_576,
    says: "largest payload, in encoded bytes",
  }),
};

/** Turns a payload (or a result) into the bytes that are stored, and back. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** What is wrong with a value, and where: `users[3].balance`. */
class Unserialisable extends Error {
  readonly path: string;
  constructor(path: string, problem: string) {
    super(problem);
    this.path = path;
  }
}

/**
 * JSON as JSON.stringify writes it; `undefined` is no bytes at all. Refused, with the path: BigInt, cycles, and the
 * names `__proto__` and `constructor.prototype`, which pollute prototypes where such an object is merged.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the codec of any payload type, and of each
export const json: Codec<any> = {
  encode(value: unknown) {
    if (value === undefined) return new Uint8Array(0);
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      findProblem(value, "", []);
      throw error;
    }
    if (text === undefined) throw new Unserialisable("", `a ${typeof value} cannot be written as JSON`);
    if (suspicious(text)) refusePollution(JSON.parse(text), "");
    return Buffer.from(text);
  },
  decode(bytes: Uint8Array) {
    if (bytes.length === 0) return undefined;
    const text = decoder.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (suspicious(text)) refusePollution(value, "");
    return value;
  },
};

/** The payload is bytes already. */
export const rawBytes: Codec<Uint8Array> = {
  encode(value) {
    if (value instanceof Uint8Array) return value;
    throw new Unserialisable("", `must be a Uint8Array, got a value of type ${typeof value}`);
  },
  decode: (bytes) => bytes,
};

/** Encode with a task's codec. @throws PAYLOAD_INVALID with the path of what cannot be written */
export function encodePayload<T>(codec: Codec<T>, value: T, type: string): Uint8Array {
  return orInvalid(type, "cannot be encoded", () => {
    const bytes = codec.encode(value);
    if (!(bytes instanceof Uint8Array)) throw new Unserialisable("", "the codec's encode must return a Uint8Array");
    return bytes;
  });
}

/** Encode what is to be stored. @throws PAYLOAD_INVALID PAYLOAD_TOO_LARGE */
export function encodeWithin<T>(codec: Codec<T>, value: T, type: string, maxBytes: number): Uint8Array {
  const bytes = encodePayload(codec, value, type);
  if (bytes.length > maxBytes) throw new HoldfastError("PAYLOAD_TOO_LARGE", { type, bytes: bytes.length, maxBytes });
  return bytes;
}

/** Decode with a task's codec. @throws PAYLOAD_INVALID; the bytes themselves are never in the message */
export function decodePayload<T>(codec: Codec<T>, bytes: Uint8Array, type: string): T {
  return orInvalid(type, "cannot be decoded", () => codec.decode(bytes));
}

function orInvalid<T>(type: string, problem: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Unserialisable) {
      throw new HoldfastError("PAYLOAD_INVALID", { type, path: error.path, problem: error.message });
    }
    // A parser's own sentence quotes the text it met, which is payload: only its class is told.
    const name = error instanceof Error ? error.name : typeof error;
    throw new HoldfastError("PAYLOAD_INVALID", { type, path: "", problem: `${problem} (${name})` });
  }
}

// An escape such as \u005f may hide a name, hence the second half.
const suspicious = (text: string) =>
  text.includes('"__proto__"') || text.includes('"constructor"') || text.includes("\\u00");

const below = (path: string, key: string) =>
  /^[A-Za-z_$][\w$]*$/.test(key)
    ? path === ""
      ? key
      : `${path}.${key}`
    : `${path}[${JSON.stringify(key.slice(0, 40))}]`;

function refusePollution(value: unknown, path: string): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : below(path, key);
    if (key === "__proto__" && !Array.isArray(value)) throw new Unserialisable(at, "this name is not allowed");
    if (key === "constructor" && typeof child === "object" && child !== null && Object.hasOwn(child, "prototype")) {
      throw new Unserialisable(at, "this name is not allowed with a prototype inside");
    }
    refusePollution(child, at);
  }
}

/** Walk a value that JSON.stringify refused and throw what it found, with its path. */
function findProblem(value: unknown, path: string, above: object[]): void {
  if (typeof value === "bigint")
    throw new Unserialisable(path, "a BigInt cannot be written as JSON: send it as a string");
  if (typeof value !== "object" || value === null) return;
  if (above.includes(value)) throw new Unserialisable(path, "it refers back to an object that contains it");
  if (above.length > 1_000) throw new Unserialisable(path.slice(0, 200), "it is nested too deeply");
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return;
  above.push(value);
  for (const [key, child] of Object.entries(value)) {
    findProblem(child, Array.isArray(value) ? `${path}[${key}]` : below(path, key), above);
  }
  above.pop();
}
