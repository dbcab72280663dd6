import { expect, it } from "vitest";
import { type Evicting, EvictionWatch } from "./eviction-watch.js";
import type { RedisLink } from "./link.js";

const hour = 3_600;

/** What the server behind an address says of itself; an hour old unless told otherwise. */
interface Server {
  readonly runId?: string;
  /** Undefined where it does not tell. */
  readonly evicted: number | undefined;
  readonly uptimeS?: number;
  readonly policy?: string;
}

/** Looks at what is behind one address, look by look; answers how many keys each found deleted, 0 where nothing was told. */
const looks = async (servers: readonly Server[]) => (await toldBy(servers)).map((told) => told?.evicted ?? 0);

async function toldBy(servers: readonly Server[]): Promise<(Evicting | undefined)[]> {
  let server: Server = servers[0]!;
  const run = async () => {
    const { runId, evicted, uptimeS = hour, policy = "noeviction" } = server;
    const identity = runId === undefined ? [] : [`run_id:${runId}`];
    const lines = [
      ...identity,
      `uptime_in_seconds:${uptimeS}`,
      `maxmemory_policy:${policy}`,
      ...(evicted === undefined ? [] : [`evicted_keys:${evicted}`]),
    ];
    return [Buffer.from(lines.join("\r\n"))];
  };
  const link = { label: "redis://db:6379", nodes: async () => [{ address: { label: "redis://db:6379" }, run }] };
  const told: Evicting[] = [];
  const watch = new EvictionWatch(link as unknown as RedisLink, (evicting) => told.push(evicting));
  const found: (Evicting | undefined)[] = [];
  for (server of servers) {
    await watch.look(1_000);
    found.push(told.pop());
  }
  return found;
}

it("tells what a server has deleted since the last look, and nothing of what it had before", async () => {
  const one = { runId: "one" };

  expect(await looks([7, 7, 9].map((evicted) => ({ ...one, evicted })))).toEqual([0, 0, 2]);
});

it("takes another server's counter behind the same name for no deletions, wherever it stands, and goes on from there", async () => {
  const [one, other] = [{ runId: "one" }, { runId: "other" }];

  expect(
    await looks([
      { ...one, evicted: 7 },
      { ...other, evicted: 5_000 },
      { ...other, evicted: 5_003 },
    ]),
  ).toEqual([0, 0, 3]);
  expect(
    await looks([
      { ...one, evicted: 7 },
      { ...other, evicted: 5 },
      { ...other, evicted: 6 },
    ]),
  ).toEqual([0, 0, 1]);
});

it("tells all that a server has deleted since it was restarted, or its counter set back", async () => {
  const one = { runId: "one", evicted: 7 };

  expect(await looks([one, { runId: "again", evicted: 3, uptimeS: 0 }])).toEqual([0, 3]);
  expect(await looks([one, { ...one, evicted: 3 }])).toEqual([0, 3]);
});

it("where servers hide who they are takes a smaller counter for another one's", async () => {
  expect(await looks([7, 9, 3, 4].map((evicted) => ({ evicted })))).toEqual([0, 2, 0, 1]);
});

it("tells of a policy that lets keys be deleted also where a server does not count them", async () => {
  const [none, some] = [{ evicted: undefined }, { evicted: undefined, policy: "allkeys-lru" }];

  expect(await toldBy([none, some, some])).toEqual([
    undefined,
    { node: "db:6379", policy: "allkeys-lru", evicted: 0 },
    undefined,
  ]);
});
