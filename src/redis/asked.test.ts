import { describe, expect, it } from "vitest";
import { invalidOption } from "../core/errors.js";
import { Asked, Unanswered } from "./asked.js";

/** A function that answers these in turn, the last again and again; errors are thrown. */
function asking(...answers: unknown[]) {
  const state = { asked: 0, release: () => {} };
  const ask = async () => {
    const answer = answers[Math.min(state.asked++, answers.length - 1)];
    if (answer instanceof Error) throw answer;
    if (answer === "hangs") await new Promise<void>((resolve) => (state.release = resolve));
    return answer as string;
  };
  const checked = (value: unknown, name: string) => {
    if (typeof value === "string") return value;
    throw invalidOption(name, `must be text, got a value of type ${typeof value}`);
  };
  return { state, source: new Asked("password()", ask, checked) };
}

describe("what is asked for", () => {
  it("is asked once for all who want it at the same time, and not again at once", async () => {
    const { source, state } = asking("one", "two");

    const values = await Promise.all([source.value(1_000), source.value(1_000)]);

    expect([...values, await source.value(1_000)]).toEqual(["one", "one", "one"]);
    expect(state.asked).toBe(1);
  });

  it("is asked at once, and once, when the server refuses what was answered", async () => {
    const { source, state } = asking("old", "new");
    await source.value(1_000);

    expect(await source.insteadOf("old", 1_000)).toBe("new");
    expect(state.asked).toBe(2);

    expect(await source.insteadOf("new", 1_000)).toBeUndefined();
    expect(await source.insteadOf("new", 1_000)).toBeUndefined();
    expect(state.asked).toBe(3);
  });

  it("is what was known last while the function fails, or does not answer", async () => {
    const failing = asking("one", new Error("the vault is away"));
    await failing.source.value(1_000);
    expect(await failing.source.insteadOf("one", 1_000)).toBeUndefined();
    expect(failing.state.asked).toBe(2);
    expect(await failing.source.value(1_000)).toBe("one");

    const hanging = asking("one", "hangs");
    await hanging.source.value(1_000);
    expect(await hanging.source.insteadOf("one", 10)).toBeUndefined();
    expect(hanging.state.asked).toBe(2);
    expect(await hanging.source.value(10)).toBe("one");
    hanging.state.release();
  });

  it.each([
    [
      Object.assign(new Error("ENOENT: no such file, open '/secret'"), { code: "ENOENT", syscall: "open" }),
      /^password\(\) has failed: ENOENT/,
    ],
    [new TypeError("the token is hunter2"), /^password\(\) has thrown TypeError$/],
    [5_417, /^password\(\) must be text, got a value of type number$/],
    ["hangs", /^password\(\) has not answered within 10 ms$/],
  ])("says why there is none: %s", async (answer, expected) => {
    const { source, state } = asking(answer);

    const told = await source.value(10);

    expect(told).toBeInstanceOf(Unanswered);
    expect((told as Unanswered).message).toMatch(expected);
    expect((told as Unanswered).cause).toBeUndefined();
    state.release();
  });
});
