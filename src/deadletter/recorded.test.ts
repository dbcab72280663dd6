import { expect, it } from "vitest";
import type { NewAct } from "../broker/audit.js";
import { HoldfastError } from "../core/errors.js";
import { connect } from "../index.js";
import type { Desk } from "./desk.js";
import { DeadLetters } from "./index.js";
import { recorded } from "./recorded.js";

it("says of what was recorded, and then refused, that it was not done", async () => {
  await using broker = connect("memory:");
  const letters = new DeadLetters(broker, { actor: "ann" });
  const store = broker.deadLetters!;
  const rule = { name: "noise", search: "type:ping", action: "discard", owner: "ops", expires: "30d" } as const;
  await letters.addRule(rule);
  const write = store.writeDocuments.bind(store);
  store.writeDocuments = async (kind, writes, nowMs) =>
    kind === "rule" || kind === "policy" ? writes.map(() => ({ status: "full" })) : write(kind, writes, nowMs);

  await expect(letters.removeRule("noise")).rejects.toThrow("changed meanwhile");
  await expect(letters.setPolicy({ queue: "mail", keepMost: 5 })).rejects.toThrow("10,000");

  const [acts = []] = await broker.audit.read([{ log: "" }], 10);
  expect(acts.map(({ verb }) => verb)).toEqual([
    "rule add",
    "rule remove",
    "rule remove refused",
    "policy set",
    "policy set refused",
  ]);
  expect((await letters.rules()).map(({ name }) => name)).toEqual(["noise"]);
});

it("says why it was refused also where that cannot be recorded, which is its cause", async () => {
  const problem = new Error("no disk");
  const refusal = new HoldfastError("RULE_NOT_FOUND", { name: "noise" });
  let appended = 0;
  const append = async () => {
    appended += 1;
    if (appended === 2) throw problem;
  };
  const desk = { audit: { append }, nowMs: () => 0 } as unknown as Desk;

  await expect(recorded(desk, {} as NewAct, () => Promise.reject(refusal))).rejects.toBe(refusal);
  expect(refusal.cause).toBe(problem);
});
