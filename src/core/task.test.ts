import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { rawBytes } from "./payload.js";
import { fixed } from "./retry.js";
import { defineTask, validate } from "./task.js";

const optionInvalid = (option: string, problem: string | RegExp = /./) =>
  expect.objectContaining({ code: "OPTION_INVALID", data: { option, problem: expect.stringMatching(problem) } });

describe("defineTask", () => {
  it("has asynq's defaults", () => {
    const { options, type: name, schema } = defineTask("email:welcome");

    expect(name).toBe("email:welcome");
    expect(schema).toBeUndefined();
    expect(options).toEqual({
      queue: "default",
      maxRetry: 25,
      timeoutMs: undefined,
      deadline: undefined,
      retentionMs: 0,
      uniqueMs: undefined,
      headers: {},
      delivery: "at-least-once",
      importance: "normal",
    });
  });

  it("is called to make a request, and sends nothing", () => {
    const welcome = defineTask<{ userId: string }>("email:welcome", { queue: "critical" });

    const request = welcome({ userId: "u" }, { processIn: "24h", maxRetry: 3 });

    expect(request).toEqual({
      definition: welcome,
      payload: { userId: "u" },
      options: { processInMs: 86_400_000, maxRetry: 3 },
    });
    expect(welcome({ userId: "u" }).options).toBeUndefined();
  });

  it("is frozen: a definition is shared between producers and workers", () => {
    const task = defineTask("t", { headers: { a: "1" } });

    expect(Object.isFrozen(task)).toBe(true);
    expect(Object.isFrozen(task.options)).toBe(true);
  });

  it.each<[options: object, option: string, problem?: RegExp]>([
    [{ retires: 3 }, 'defineTask("t").retires', /is not an option; there are queue, maxRetry/],
    [{ processIn: "5s" }, 'defineTask("t").processIn', /is not an option/],
    [{ id: "x" }, 'defineTask("t").id', /is not an option/],
    [{ queue: "a b" }, 'defineTask("t").queue', /1 to 128 letters/],
    [{ queue: null }, 'defineTask("t").queue', /got null/],
    [{ maxRetry: -1 }, 'defineTask("t").maxRetry'],
    [{ maxRetry: 2_147_483_648 }, 'defineTask("t").maxRetry'],
    [{ maxRetry: Number.NaN }, 'defineTask("t").maxRetry'],
    [{ maxRetry: 2.5 }, 'defineTask("t").maxRetry'],
    [{ timeout: 30 }, 'defineTask("t").timeout', /such as "30s".*got 30/],
    [{ timeout: "999ms" }, 'defineTask("t").timeout', /1s/],
    [{ deadline: "tomorrow" }, 'defineTask("t").deadline'],
    [{ retention: "1 d" }, 'defineTask("t").retention'],
    [{ unique: "0s" }, 'defineTask("t").unique', /1s/],
    [{ headers: { a: 1 } }, 'defineTask("t").headers.a'],
    [{ delivery: "exactly-once" }, 'defineTask("t").delivery', /"at-least-once", "at-most-once"/],
    [{ retry: "5s" }, 'defineTask("t").retry', /must be a function/],
    [{ fingerprint: "x" }, 'defineTask("t").fingerprint', /must be a function/],
    [{ schema: {} }, 'defineTask("t").schema', /Standard Schema/],
    [{ schema: null }, 'defineTask("t").schema', /Standard Schema/],
    [{ result: z.string() }, 'defineTask("t").retention', /with a result/],
  ])("refuses %j", (options, option, problem) => {
    expect(() => defineTask("t", options)).toThrow(optionInvalid(option, problem));
  });

  it.each([[""], [" "], ["a\nb"], [undefined], [5], ["x".repeat(257)]])("refuses %j as a type", (name) => {
    expect(() => defineTask(name as string)).toThrow(optionInvalid("type"));
  });

  it("checks the options of a call, and names the task", () => {
    const task = defineTask("t");

    expect(() => task(undefined, { processIn: "5" as "5s" })).toThrow(optionInvalid("t.processIn"));
    expect(() => task(undefined, { id: "" })).toThrow(optionInvalid("t.id"));
    expect(() => task(undefined, { processAt: new Date(0), processIn: "5s" })).toThrow(
      optionInvalid("t.processIn", /together with processAt/),
    );
    expect(() => task(undefined, { retry: fixed("1s") } as object)).toThrow(
      optionInvalid("t.retry", /is not an option/),
    );
  });

  it("takes a codec and a policy", () => {
    const policy = fixed("1s");
    const task = defineTask<Uint8Array>("t", { codec: rawBytes, retry: policy });

    expect([task.codec, task.retry]).toEqual([rawBytes, policy]);
  });
});

describe("validate", () => {
  const libraries = [
    ["zod 4", z.object({ src: z.string(), width: z.coerce.number().default(5) })],
    ["valibot 1", v.object({ src: v.string(), width: v.optional(v.pipe(v.unknown(), v.transform(Number)), 5) })],
    ["arktype 2", type({ src: "string", width: "string.numeric.parse | number = 5" })],
  ] as const;

  it.each(libraries)("answers what the schema made of the value (%s)", async (_library, schema) => {
    const task = defineTask("image:resize", { schema: schema as (typeof libraries)[0][1] });

    expect(await validate(task.schema!, { src: "a.png", width: "7" }, task.type, "PAYLOAD_INVALID")).toEqual({
      src: "a.png",
      width: 7,
    });
    expect(await validate(task.schema!, { src: "a.png" }, task.type, "PAYLOAD_INVALID")).toEqual({
      src: "a.png",
      width: 5,
    });
  });

  it.each(libraries)("refuses what does not fit, names the place and not the value (%s)", async (_library, schema) => {
    const refused = validate(
      schema as (typeof libraries)[0][1],
      { src: { secret: 1 } },
      "image:resize",
      "PAYLOAD_INVALID",
    );

    await expect(refused).rejects.toMatchObject({
      code: "PAYLOAD_INVALID",
      message: expect.stringMatching(/^payload of "image:resize" at src: does not fit the schema \(\d issues?\)$/),
      cause: expect.any(Error),
    });
  });

  it("waits for a schema that takes its time, and names results as results", async () => {
    const slow = z.string().refine(async (text) => text === "ok");

    expect(await validate(slow, "ok", "t", "RESULT_INVALID")).toBe("ok");
    await expect(validate(slow, "no", "t", "RESULT_INVALID")).rejects.toMatchObject({
      code: "RESULT_INVALID",
      message: 'result of "t": does not fit the schema (1 issue)',
    });
  });

  it("reads paths of steps and of objects with a key", async () => {
    const issue = { message: "secret 42", path: [{ key: "users" }, 3, Symbol("s")] };
    const schema = { "~standard": { version: 1 as const, vendor: "own", validate: () => ({ issues: [issue] }) } };

    await expect(validate(schema, 42, "t", "PAYLOAD_INVALID")).rejects.toMatchObject({
      data: { path: "users.3.Symbol(s)", problem: "does not fit the schema (1 issue)" },
    });
  });
});
