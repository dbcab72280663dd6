import { expect, it } from "vitest";
import { connect } from "../connect.js";
import { defineTask } from "../core/task.js";
import { Client } from "./client.js";

it("many calls that wait at once are not taken for a leak", async () => {
  const warnings: string[] = [];
  const listen = ({ name }: Error) => warnings.push(name);
  process.on("warning", listen);
  await using broker = connect("memory:");
  const client = new Client(broker, { rateLimit: { perSecond: 200, burst: 1 }, whenLimited: "wait" });
  const task = defineTask("waiting");

  await Promise.all(Array.from({ length: 30 }, () => client.enqueue(task())));
  process.removeListener("warning", listen);

  expect(warnings).toEqual([]);
});
