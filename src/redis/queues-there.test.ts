import { expect, it } from "vitest";
import { HoldfastError } from "../core/errors.js";
import { type Command, LinkError, type RedisLink, type Reply, type ScriptCall } from "./link.js";
import { queuesThere } from "./queues-there.js";

const values = [...Array.from({ length: 11 }, () => 1), ...Array.from({ length: 11 }, () => Buffer.of())];
const nameIn = ({ keys }: ScriptCall) => /\{(.+)\}/.exec(keys[0]!)![1]!;

/** Two nodes, "here" and "away", each with the queues that are called after it; it counts what the second is asked. */
function cluster(names: readonly string[], away = new LinkError("refused", "", "away:6379: connection refused")) {
  const asked = { away: 0 };
  const shardOf = (name: string) => name.split("-")[0]!;
  const answer = (call: ScriptCall | Command): Reply => {
    if (!("script" in call)) {
      return call.name === "SMEMBERS" ? names.map((name) => Buffer.from(name)) : call.args.slice(1).map(() => 1);
    }
    if (shardOf(nameIn(call)) === "here") return [...values];
    asked.away += 1;
    return away;
  };
  const link = { label: "test", oneSlotPerCall: true, shardOf, run: async (calls: Command[]) => calls.map(answer) };
  return { link: link as unknown as RedisLink, asked };
}

const named = (shard: string, count: number) => Array.from({ length: count }, (_, n) => `${shard}-${1_000 + n}`);

it("waits for a node that is away once, however many queues there are", async () => {
  const names = [...named("here", 700), ...named("away", 800)];
  const { link, asked } = cluster(names);
  const failed: unknown[] = [];

  const list = await queuesThere(link, 0, undefined, (error) => failed.push(error));

  expect(list.map(({ name }) => name)).toEqual(named("here", 700));
  expect(list.unavailable.map(({ name }) => name)).toEqual(named("away", 800));
  expect(list.unavailable[0]).toEqual({ name: "away-1000", shard: "away", problem: "away:6379: connection refused" });
  // One trip's.
  expect(asked.away).toBe(500);
  expect(HoldfastError.is(failed[0], "BROKER_UNAVAILABLE")).toBe(true);
});

it("lets who prints the list see what is missing, and only then", async () => {
  const { link } = cluster(["here-1", "away-1"]);
  const list = await queuesThere(link, 0, undefined, () => {});
  const whole = await queuesThere(link, 0, ["here-1"], () => {});

  expect([Object.keys(list), Object.keys(whole)]).toEqual([["0", "unavailable"], ["0"]]);
});

it("takes a user's lack of rights for no absence", async () => {
  const link = { oneSlotPerCall: true, run: async () => [new LinkError("refused", "NOPERM", "NOPERM no smembers")] };

  await expect(queuesThere(link as unknown as RedisLink, 0, undefined, () => {})).rejects.toThrow("NOPERM");
});

it("asks all queues of a node while one of its slots moves", async () => {
  const { link, asked } = cluster(named("away", 800), new LinkError("refused", "TRYAGAIN", "TRYAGAIN"));
  await queuesThere(link, 0, undefined, () => {});

  expect(asked.away).toBe(800);
});

it("tells those who listen of the node with the names, also where one queue is asked for by its name", async () => {
  const { link } = cluster([]);
  const run: RedisLink["run"] = async (calls) =>
    "script" in calls[0]! ? link.run(calls) : [new LinkError("refused", "", "names:6379: connection refused")];
  const failed: unknown[] = [];
  const list = await queuesThere({ ...link, run }, 0, ["here-1"], (error) => failed.push(error));

  expect(list.unavailable.map(({ name, problem }) => [name, problem])).toEqual([]);
  expect(failed).toMatchObject([{ data: { problem: "names:6379: connection refused" } }]);
});
