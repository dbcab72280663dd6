import { LinkError } from "../../src/redis/link.js";
import { sightingOf } from "../../src/redis/sentinel.js";
import { placeOf, redirection, slotCount, slotMapFrom } from "../../src/redis/slots.js";
import type { Reply } from "../../src/redis/link.js";
import type { Target } from "./fuzz.js";
import { inspect } from "node:util";
import { mutated } from "./replies.js";

/** What servers say of where other servers are: a place to connect to, or none. */
function placeTarget(name: string, honest: readonly Reply[], read: (reply: Reply) => boolean): Target<Reply> {
  return {
    name,
    seeds: [Buffer.from("seed")],
    // A map of all slots takes its time.
    ...(name === "CLUSTER SLOTS" ? { few: 5_000 } : {}),
    input: (mutator) => mutated(mutator.pick(honest), mutator),
    show: (reply) => inspect(reply, { depth: 10 }),
    try: (reply) => (read(reply) ? "taken" : "refused"),
  };
}

const b = (text: string) => Buffer.from(text);
const asked = "127.0.0.1:7000";

function mustBePlace(name: string): void {
  const { port } = placeOf(name);
  if (!(port > 0 && port < 65_536)) throw new Error(`${name} is no place`);
}

const master = ["name", "mymaster", "ip", "10.0.0.1", "port", "6379", "flags", "master", "config-epoch", "7"].map(b);
const node = (host: Reply, port: number): Reply => [host, port, b("id"), []];

export const serverTargets = [
  placeTarget("SENTINEL MASTER", [master], (reply) => {
    const sighting = sightingOf(reply);
    if (sighting === undefined) return false;
    const { host, port, epoch } = sighting;
    if (host === "" || !(port > 0 && port < 65_536) || !Number.isSafeInteger(epoch)) throw new Error("no place");
    return true;
  }),
  placeTarget(
    "CLUSTER SLOTS",
    [
      [
        [0, 8_000, node(b("10.0.0.1"), 6379), node(b("10.0.0.2"), 6379)],
        [8_001, 16_383, node(b("::1"), 6380)],
      ],
      [[0, 16_383, node(null, 7001)]],
    ],
    (reply) => {
      const map = slotMapFrom(reply, asked);
      if (map === undefined) return false;
      if (map.length !== slotCount) throw new Error(`${map.length} slots`);
      let known: string | undefined;
      for (const name of map) {
        if (name !== known && name !== undefined) mustBePlace(name);
        known = name;
      }
      return true;
    },
  ),
  placeTarget(
    "MOVED and ASK",
    [b("MOVED 3999 10.0.0.1:6381"), b("ASK 0 [::1]:6381"), b("MOVED 16383 :7001")],
    (reply) => {
      const code = String(reply).startsWith("ASK") ? "ASK" : "MOVED";
      const to = redirection(new LinkError("refused", code, String(reply)), asked);
      if (to === undefined) return false;
      if (!(to.slot >= 0 && to.slot < slotCount)) throw new Error(`slot ${to.slot}`);
      mustBePlace(to.to);
      return true;
    },
  ),
];
