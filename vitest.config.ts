import { defineConfig } from "vitest/config";

/** Folders whose tests start servers, kill processes or fill the machine: after all others. Some wait for leases. */
const heavy = ["test/{chaos,system,package}/**/*.test.ts", "test/interop/go/**/*.test.ts"];
/** Those of them that fill the machine by themselves, or say how long something may take: at the end, one at a time. */
const alone = [
  "test/chaos/{fleet,faults,outage}.test.ts",
  "test/system/{outage,waking,clock-jump,leasing-ahead,cluster-node-away}.test.ts",
  "test/interop/go/fleet.test.ts",
];

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    retry: 0,
    globalSetup: ["scripts/fresh-build.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: ["{src,test}/**/*.test.ts"],
          exclude: heavy,
          testTimeout: 10_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: "heavy",
          include: heavy,
          exclude: alone,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: alone,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
