import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Folders whose tests start servers, kill processes or fill the machine: after all others. Some wait for leases. */
const heavy = ["test/{chaos,system,package}/**/*.test.ts", "test/interop/go/**/*.test.ts"];
/** Those that say how long something may take, and leave most of the machine free: two at a time. */
const timed = [
  "test/chaos/{faults,outage}.test.ts",
  "test/system/{outage,waking,clock-jump,leasing-ahead,cluster-node-away}.test.ts",
  "test/ops/drill.test.ts",
];
/** Those of them that fill the machine by themselves: at the end, one at a time. */
const alone = ["test/chaos/fleet.test.ts", "test/interop/go/fleet.test.ts"];

/** The longest of each group, which would else be what everything waits for at its end. */
const longest = [
  "chaos/lease-file",
  "chaos/lease-redis",
  "interop/go/crash",
  "chaos/embedded-kill",
  "chaos/spool-failover",
  "contract/one-place",
  "fuzz/fuzz",
  "chaos/faults",
  "chaos/spool-kill",
  "system/cli",
  "hostile/hostile",
  "system/cli-terminal",
  "chaos/outbox",
  "system/reclaiming",
  "conformance/incarnations",
  "model/model",
  "system/cluster-node-away",
  "chaos/outage",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at === -1 ? longest.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

const patient = { testTimeout: 120_000, hookTimeout: 120_000 };

/** These make ids of years to come: ids only go upwards, so others in their process would not get those of today any more. */
const ahead = ["src/core/ids.test.ts", "src/deadletter/search/match.test.ts", "test/simulation/*.test.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 3,
    retry: 0,
    globalSetup: ["scripts/fresh-build.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongestFirst },
    projects: [
      // Files share a process: most of them take less time than loading everything anew for each would.
      { extends: true, test: { name: "unit", include: ["src/**/*.test.ts"], exclude: ahead, isolate: false } },
      {
        extends: true,
        test: { name: "fast", include: ["test/**/*.test.ts"], exclude: [...heavy, ...timed, ...ahead], isolate: false },
      },
      { extends: true, test: { name: "ahead", include: ahead } },
      {
        extends: true,
        test: {
          name: "heavy",
          include: heavy,
          exclude: [...timed, ...alone],
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
          ...patient,
        },
      },
      {
        extends: true,
        test: { name: "timed", include: timed, maxWorkers: 2, sequence: { groupOrder: 2 }, ...patient },
      },
      {
        extends: true,
        test: { name: "alone", include: alone, fileParallelism: false, sequence: { groupOrder: 3 }, ...patient },
      },
    ],
  },
});
