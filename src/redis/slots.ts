import { LinkError, type Command, type Reply, type ScriptCall } from "./link.js";
import { schemaKey } from "./keys.js";
import { hostAndPort } from "./redis-url.js";

export const slotCount = 16_384;

/** CRC16 (XMODEM) of what is between the first braces of a key, or of the whole key, as the Cluster specification has it. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const bytes = Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key);
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
  }
  return crc % slotCount;
}

const tags = new Map<number, string>();

/** A hash tag that leads to the slot. */
export function tagOf(slot: number): string {
  let tag = tags.get(slot);
  for (let n = 0; tag === undefined; n++) if (slotOf(`{${n}}`) === slot) tag = String(n);
  tags.set(slot, tag);
  return tag;
}

/** Commands without a key, and those whose key is not their first argument. */
const keyless = new Set(["PING", "INFO", "TIME", "ACL", "PUBLISH", "ROLE", "CONFIG", "SCRIPT"]);
const keySecond = new Set(["MEMORY", "OBJECT"]);

/** Where the call is to go. What any node can answer goes to one and the same. */
export function slotOfCall(call: ScriptCall | Command): number {
  if ("script" in call) return slotOf(call.keys[0]!);
  const name = call.name.toUpperCase();
  const key = keyless.has(name) ? undefined : call.args[keySecond.has(name) ? 1 : 0];
  return key === undefined ? homeSlot : slotOf(typeof key === "object" ? Buffer.from(key).toString() : String(key));
}

/** The slot of the key that all queues share: its node is the one whose clock all go by. */
export const homeSlot = slotOf(schemaKey);

/** A node as others name it: "host:port". */
export type NodeName = string;

/** Each slot's master. */
export type SlotMap = readonly (NodeName | undefined)[];

/**
 * Reads CLUSTER SLOTS; undefined where that is no such answer, or nothing in it. A node that does not know its own name
 * leaves it out: it is the one who was asked.
 */
export function slotMapFrom(reply: Reply | undefined, asked: NodeName): SlotMap | undefined {
  if (!Array.isArray(reply)) return undefined;
  const map = [...nobodys];
  let found = false;
  for (const range of reply) {
    const [first, last, master] = Array.isArray(range) ? range : [];
    const [host, port] = Array.isArray(master) ? master : [];
    // Slots of a node that has no address are nobody's.
    if (!isSlot(first) || !isSlot(last) || !isPort(port) || host === undefined) continue;
    map.fill(nodeNamed(host === null ? "" : String(host), port, asked), first, last + 1);
    found ||= first <= last;
  }
  return found ? map : undefined;
}

/** No slot has a master. Copied, for it is slow to make. */
const nobodys: SlotMap = Array.from({ length: slotCount });

const isSlot = (slot: unknown): slot is number =>
  typeof slot === "number" && Number.isInteger(slot) && slot >= 0 && slot < slotCount;

export const isPort = (port: unknown): port is number =>
  typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536;

const nodeNamed = (host: string, port: number, asked: NodeName): NodeName =>
  host === "" || host === "?" ? hostAndPort({ ...placeOf(asked), port }) : hostAndPort({ host, port });

export function placeOf(node: NodeName): { host: string; port: number } {
  const colon = node.lastIndexOf(":");
  return { host: node.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(node.slice(colon + 1)) };
}

/** "MOVED 3999 127.0.0.1:6381": the slot is there for good; "ASK …": it is on its way there. */
export function redirection(
  reply: Reply,
  asked: NodeName,
): { slot: number; to: NodeName; kind: "MOVED" | "ASK" } | undefined {
  if (!(reply instanceof LinkError) || (reply.code !== "MOVED" && reply.code !== "ASK")) return undefined;
  const [, slot, address = ""] = reply.problem.split(" ");
  const { host, port } = placeOf(address);
  if (!isSlot(Number(slot)) || !isPort(port)) return undefined;
  return { slot: Number(slot), to: nodeNamed(host, port, asked), kind: reply.code };
}
