/**
 * Spills a few dead letters after the other until it is killed, with the policy's keeper and by hand in turns. Says when it
 * begins.
 */
import { writeSync } from "node:fs";
import { DeadLetters } from "../../dist/esm/deadletter/index.js";
import { connect } from "../../dist/esm/index.js";

const [url, directory, sealed] = process.argv.slice(2);
const broker = connect(url);
const letters = new DeadLetters(broker);
const target = { directory, ...(sealed === "sealed" ? { key: Buffer.alloc(32, 7) } : {}) };
const keeper = letters.growthKeeper(target);
writeSync(1, "ready\n");
for (;;) {
  for (const { name } of await letters.queues()) {
    const { items } = await letters
      .searchAll(`queue:${name}`)
      .next()
      .then(({ value }) => value);
    await letters.spill({ queue: name, ids: items.slice(0, 3).map(({ id }) => id) }, target);
    writeSync(1, "+");
  }
  await keeper.step();
}
