import { describe, expect, it } from "vitest";
import { minBuildHeader } from "../../src/core/build.js";
import { Client, connect, defineTask, Inspector, Worker } from "../../src/index.js";
import { until } from "../support/until.js";

describe("a task that asks for a build", () => {
  it("is given back by an older worker, and run by a later one", async () => {
    await using broker = connect("memory:");
    const ping = defineTask<{ n: number }>("ping");
    const ran: string[] = [];
    const worker = (build: string) =>
      new Worker(broker, { build, pollInterval: "20ms" }).handle(ping, () => void ran.push(build));
    const client = new Client(broker);
    const { id } = await client.enqueue(ping({ n: 1 }, { headers: { [minBuildHeader]: "1.5" }, retention: "1h" }));
    const inspector = new Inspector(broker);

    const old = worker("1.4.9");
    await old.start();
    const found = await until("the old one has given it back", async () => {
      const task = await inspector.find("default", id);
      return task?.state === "retry" ? task : undefined;
    });
    await old.stop();
    expect(found).toMatchObject({ failure: { reason: "no_handler", class: "HoldfastError" }, message: { retried: 0 } });

    await inspector.run({ queue: "default", ids: [id] });
    const late = worker("1.10");
    await late.start();
    await until("the later one has run it", async () => (await inspector.find("default", id))?.state === "completed");
    await late.stop();
    expect(ran).toEqual(["1.10"]);
  });
});
