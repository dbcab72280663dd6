import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { documentKinds } from "../broker/documents.js";
import * as keys from "./keys.js";
import { seed } from "../../test/support/seed.js";

fc.configureGlobal({ seed });

const {
  cancelChannel,
  dataKey,
  documentsKey,
  globalAuditKey,
  keysOf: _,
  outagesKey,
  ownServersKey,
  queuesKey,
  serversKey,
  workersKey,
  schemaKey,
  sealedKey,
  sealedPlacesKey,
  setsOf,
  ...named
} = keys;

describe("keys", () => {
  const queue = fc.stringMatching(/^[A-Za-z0-9_.:-]{1,20}$/);
  const id = fc.oneof(
    fc.uuid(),
    fc.string({ minLength: 1, maxLength: 20 }),
    fc.constantFrom("a", "t:a", "pending", "g:a"),
  );
  const everyKey = (q: string, i: string) =>
    Object.entries(named).map(([kind, key]) => ({ of: `${kind} ${key.length > 1 ? `${q} ${i}` : q}`, key: key(q, i) }));

  it("have one meaning each: no two kinds, queues or ids share one", () => {
    fc.assert(
      fc.property(queue, id, queue, id, (q1, i1, q2, i2) => {
        const meanings = new Map<string, string>([
          [queuesKey, "queues"],
          [serversKey, "servers"],
          [workersKey, "workers"],
          [ownServersKey, "own servers"],
          [schemaKey, "schema"],
          [dataKey, "data"],
          [outagesKey, "outages"],
          ...documentKinds.map((kind) => [documentsKey(kind), `documents: ${kind}`] as const),
          [globalAuditKey, "acts"],
          [sealedKey, "sealed acts"],
          [sealedPlacesKey, "places"],
        ]);
        for (const { of, key } of [...everyKey(q1, i1), ...everyKey(q2, i2)]) {
          expect(meanings.get(key) ?? of).toBe(of);
          meanings.set(key, of);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("of a queue are all on one Cluster slot: its name is the only hash tag", () => {
    fc.assert(
      fc.property(queue, id, (q, i) => {
        for (const { key } of everyKey(q, i)) expect(/\{([^}]*)\}/.exec(key)?.[1]).toBe(q);
      }),
    );
  });

  it("are asynq's, to the letter", () => {
    expect(named.taskKey("default", "a")).toBe("asynq:{default}:t:a");
    expect(
      Object.fromEntries(
        Object.entries(named)
          .filter(([, key]) => key.length === 1)
          .map(([kind, key]) => [kind, key("q", "")]),
      ),
    ).toEqual({
      nodeDataKey: "holdfast:data:{q}",
      serverKey: "asynq:servers:{q}",
      runningKey: "asynq:workers:{q}",
      pendingKey: "asynq:{q}:pending",
      pausedKey: "asynq:{q}:paused",
      activeKey: "asynq:{q}:active",
      scheduledKey: "asynq:{q}:scheduled",
      retryKey: "asynq:{q}:retry",
      archivedKey: "asynq:{q}:archived",
      completedKey: "asynq:{q}:completed",
      groupsKey: "asynq:{q}:groups",
      archivedAsideKey: "holdfast:{q}:archived",
      evictedKey: "holdfast:{q}:evicted",
      unindexedKey: "holdfast:{q}:unindexed",
      failureGroupsKey: "holdfast:{q}:fps",
      indexKey: "holdfast:{q}:index",
      outcomesKey: "holdfast:{q}:outcomes",
      pauseKey: "holdfast:{q}:pause",
      standstillKey: "holdfast:{q}:standstill",
      trashKey: "holdfast:{q}:trash",
      auditKey: "holdfast:{q}:audit",
      barrierKey: "holdfast:{q}:barrier",
    });
    expect(cancelChannel).toBe("asynq:cancel");
    expect(named.groupKey("q", "g")).toBe("asynq:{q}:g:g");
    expect(setsOf.archived("q")).toEqual(["holdfast:{q}:archived", "asynq:{q}:archived"]);
  });
});
