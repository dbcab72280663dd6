import { defineConfig } from "vitest/config";

/** Folders whose tests start servers, kill processes or fill the machine: after all others, one file at a time. */
const heavy = ["test/{chaos,system,package}/**/*.test.ts", "test/interop/go/**/*.test.ts"];
/** Those of them that mostly wait, for leases of a minute: side by side, at the end. */
const waiting = ["test/chaos/lease-*.test.ts", "test/interop/go/crash.test.ts"];

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
          exclude: waiting,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "waiting",
          include: waiting,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
