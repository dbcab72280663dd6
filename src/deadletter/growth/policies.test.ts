import { expect, it } from "vitest";
import { connect } from "../../index.js";
import { DeadLetters } from "../index.js";

it("names storage, and how many policies there are, where it takes no more of them", async () => {
  await using broker = connect("memory:");
  broker.deadLetters!.writeDocuments = async () => [{ status: "full" }];

  await expect(
    new DeadLetters(broker).setPolicy({ queue: "mail", keepMost: 5 }, { reason: "x" }),
  ).rejects.toMatchObject({
    code: "BROKER_FAILED",
    message: `${broker.label} failed: there are 10,000 policies already`,
  });
});
