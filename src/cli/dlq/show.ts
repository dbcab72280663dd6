import { Command } from "commander";
import { queueOption, teaching, withStorage } from "../flags.js";
import { showTasks } from "../task/show.js";

export function showCommand(): Command {
  const command = new Command("show")
    .summary("all that is known of a dead letter")
    .description(
      "Dead letters in full: why and when each died, its attempts with their hosts, builds and errors, what its handler said " +
        "last, what people did with it, its payload. With the id alone all queues are asked.",
    )
    .argument("[QUEUE]", "the queue; all of them unless given")
    .argument("[ID...]", "ids of tasks")
    .addOption(queueOption());
  return teaching(withStorage(command), [
    "holdfast dlq show 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
    "holdfast dlq show mail ID1 ID2",
    "holdfast dlq show ID --json | jq '.[0].history[].build'",
  ]).action(showTasks);
}
