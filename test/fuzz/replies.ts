import { inspect } from "node:util";
import { DisciplinedClock } from "../../src/core/clock.js";
import { HoldfastError } from "../../src/core/errors.js";
import { LinkError, type RedisLink, type RedisNode, type Reply } from "../../src/redis/link.js";
import type { RedisAddress } from "../../src/redis/redis-url.js";
import type { Target, Verdict } from "./fuzz.js";
import type { Mutator } from "./mutate.js";

/** What a server answers to each command or script, by its name; to all calls of the same name alike. */
export type Replies = Readonly<Record<string, Reply>>;

const bytes = (text: string) => Buffer.from(text);
const linkErrors = [
  new LinkError("refused", "NOPERM", "NOPERM this user has no permissions"),
  new LinkError("refused", "LOADING", "LOADING Redis is loading"),
  new LinkError("failed", "WRONGTYPE", "WRONGTYPE Operation against a key"),
  new LinkError("failed", "", "no script"),
  new LinkError("unknown", "", "no reply"),
];
const edges: readonly Reply[] = [
  null,
  0,
  1,
  -1,
  2,
  0.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 53),
  2 ** 63,
  Number.NaN,
  ...["", "-1", "0", "7", "inf", "-inf", "nan", "1e400", "9".repeat(40), "s", "a", "more", "[]", "{}", "null"].map(
    bytes,
  ),
  Buffer.from("c328", "hex"),
  [],
  [[]],
  [null],
  ...linkErrors,
];

/** One to three things done to a reply, anywhere in it. */
export function mutated(reply: Reply, mutator: Mutator): Reply {
  let changed = reply;
  for (let edits = 1 + mutator.below(3); edits > 0; edits -= 1) changed = edited(changed, mutator);
  return changed;
}

function edited(reply: Reply, mutator: Mutator): Reply {
  // Mostly something inside of it.
  if (Array.isArray(reply) && reply.length > 0 && mutator.below(4) > 0) {
    const at = mutator.below(reply.length);
    return reply.with(at, edited(reply[at]!, mutator));
  }
  switch (mutator.below(Array.isArray(reply) ? 8 : 4)) {
    case 0:
      return mutator.pick(edges);
    case 1:
      return [reply];
    case 2:
    case 3:
      return Buffer.isBuffer(reply) ? mutator.edited(reply) : mutator.pick(edges);
  }
  const list = reply as Reply[];
  const at = mutator.below(list.length + 1);
  return mutator.pick([
    () => list.toSpliced(at, 1 + mutator.below(2)),
    () => list.toSpliced(at, 0, mutator.pick(edges)),
    () => list.slice(0, at),
    () => [...list, ...list],
    () => list.toReversed(),
  ])();
}

/** A link to a server that gives these answers, and no other. */
export function answering(replies: Replies, { apart = false } = {}): RedisLink {
  const run: RedisLink["run"] = async (calls) =>
    calls.map((call) => {
      const name = "script" in call ? call.script.name : call.name;
      if (!Object.hasOwn(replies, name)) throw new Error(`what is answered to ${name} is not in the table`);
      return replies[name]!;
    });
  const node: RedisNode = { address: { label: "redis://fuzzed", host: "fuzzed", port: 1 } as RedisAddress, run };
  return {
    label: "redis://fuzzed",
    clock: new DisciplinedClock(),
    oneSlotPerCall: apart,
    run,
    nodes: async () => [node],
    nodesOf: async (queues) => queues.map(() => node),
    shardOf: () => undefined,
    ping: async () => {},
    onConnected: () => {},
    distrust: () => {},
    close: async () => {},
  };
}

export interface VerbTarget {
  readonly name: string;
  /** What an honest server may answer; of some of it one is taken by chance. */
  readonly honest: readonly Replies[];
  readonly apart?: boolean;
  /** As a target has it. */
  readonly few?: number;
  readonly forgives?: boolean;
  /** Throws where the answer that was made of the replies is not sane. */
  readonly call: (link: RedisLink) => unknown;
}

/** A verb on a server that answers anything: there is a sane answer, or one of the errors that the contract has. */
export function verbTarget({ honest, call, apart = false, ...others }: VerbTarget): Target<Replies> {
  return {
    ...others,
    seeds: [Buffer.from("seed")],
    input(mutator) {
      const replies = { ...mutator.pick(honest) };
      const names = Object.keys(replies);
      const first = mutator.pick(names);
      for (const one of names) {
        if (one === first || mutator.below(3) === 0) replies[one] = mutated(replies[one]!, mutator);
      }
      return replies;
    },
    show: (replies) => inspect(replies, { depth: 10, breakLength: 120 }),
    try: (replies) => orTyped(async () => call(answering(replies, { apart }))),
  };
}

async function orTyped(work: () => unknown): Promise<Verdict> {
  try {
    await work();
    return "taken";
  } catch (error) {
    if (!isOfTheContract(error)) throw error;
    return "refused";
  }
}

const isOfTheContract = (error: unknown) =>
  HoldfastError.is(error, "BROKER_FAILED") ||
  HoldfastError.is(error, "BROKER_UNAVAILABLE") ||
  HoldfastError.is(error, "BROKER_INCOMPATIBLE");

/** @throws where there is a number that is none, or nothing where something should be */
export function mustBeSane(value: unknown, path = "the answer"): void {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${path} is ${value}`);
  if (ArrayBuffer.isView(value) || typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) mustBeSane(inner, `${path}.${key}`);
}

/** @throws where a list is not as long as it must be, or holds what it must not */
export function mustBeOf(list: readonly unknown[], length: number, known: readonly unknown[]): void {
  if (list.length !== length || Array.from(list).some((one) => !known.includes(one)))
    throw new Error(`answers ${inspect(list)} for ${length}`);
}
