import fc from "fast-check";
import { commands, Real } from "./commands.js";
import { describeBroker } from "../contract/describe-broker.js";
import { Model } from "./model.js";
import { seed } from "../support/seed.js";

const numRuns = Number(process.env["RUNS"] ?? 40);

describeBroker("does what the model does", ({ it }) => {
  it(
    `whatever comes, in any order: SEED=${seed} RUNS=${numRuns}`,
    async (t) => {
      await fc.assert(
        fc.asyncProperty(commands, async (steps) => {
          const fresh = t.elsewhere();
          const queues = [fresh.queueNamed("a"), fresh.queueNamed("b")];
          await fc.asyncModelRun(
            () => ({ model: new Model(t.at(0)), real: new Real(t.broker, queues, t.at(0)) }),
            steps,
          );
        }),
        { seed, numRuns },
      );
    },
    { timeoutMs: 300_000 },
  );
});
