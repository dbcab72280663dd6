/** Runs one task with two effects, and says when it is in the midst of the second, which never ends. */
import { connect, defineTask, Worker } from "../../dist/esm/index.js";

const worker = new Worker(connect(process.argv[2]), { leaseDuration: "5s" });
worker.handle(defineTask("effects"), async (_payload, task) => {
  await task.once("first", () => "done before the crash");
  await task.once("second", () => {
    process.send("begun");
    return new Promise(() => {});
  });
});
await worker.start();
