import { describe, expect, it } from "vitest";
import { witnessFor } from "./assurance.js";
import { LinkError } from "./link.js";

const error = (problem: string, outcome: LinkError["outcome"] = "failed") =>
  new LinkError(outcome, problem.split(" ")[0]!, problem);
const busy = error("BUSY Redis is busy running a script", "refused");

describe("who confirms a write", () => {
  it.each([
    [busy, "BROKER_UNAVAILABLE"],
    [error("UNBLOCKED force unblock from blocking operation"), "BROKER_UNAVAILABLE"],
    [error("ERR upstream failure"), "BROKER_UNAVAILABLE"],
    [error("NOPERM this user has no permissions", "refused"), "BROKER_INCOMPATIBLE"],
    [error("ERR unknown command 'WAIT'"), "BROKER_INCOMPATIBLE"],
  ])("cannot do so now, or never: %s", async (reply, code) => {
    await expect(witnessFor("replicas", "redis://test", async () => [reply])).rejects.toMatchObject({ code });
  });

  it("counts what was asked for where it may not ask how many replicas there are, and nothing while it cannot", async () => {
    const witness = await witnessFor("replicas", "redis://test", async () => [0]);
    const forbidden = error("NOPERM this user has no permissions", "refused");

    expect(witness.read([forbidden, 2])).toEqual({ here: true, replicas: 2, there: 0 });
    expect(() => witness.read([busy, 2])).toThrow(/busy/);
  });
});
