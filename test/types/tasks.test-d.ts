import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
  type Codec,
  defineTask,
  type Duration,
  exponential,
  fixed,
  RetryAfter,
  rawBytes,
  type TaskDefinition,
  type TaskRequest,
} from "../../src/index.js";

/** Compiles only when both types are the same, `any` included. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- T stands for every type
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_same: Same<A, B>) => {};

// --- Payloads -------------------------------------------------------------------------------------------------------

const sendWelcome = defineTask<{ userId: string }>("email:welcome", { queue: "critical", timeout: "30s" });
same<typeof sendWelcome, TaskDefinition<{ userId: string }>>(true);
const request: TaskRequest<{ userId: string }> = sendWelcome({ userId: "u" });
sendWelcome({ userId: "u" }, { processIn: "24h", unique: "1h", id: "welcome-u", processAt: new Date() });

// @ts-expect-error the payload is missing
sendWelcome();
// @ts-expect-error userId is a string
sendWelcome({ userId: 42 });
// @ts-expect-error there is no userID
sendWelcome({ userID: "u" });
// @ts-expect-error nothing but the payload's own fields
sendWelcome({ userId: "u", admin: true });
// @ts-expect-error no payload may be left out but one that may be undefined
sendWelcome(undefined);

const tick = defineTask("tick");
tick();
tick(undefined, { processIn: "5s" });
// @ts-expect-error it has no payload
tick({});

const maybe = defineTask<{ a: number } | undefined>("maybe");
maybe();
maybe({ a: 1 });

// --- Units and options ----------------------------------------------------------------------------------------------

const durations: Duration[] = ["250ms", "30s", "1.5m", "2h", "7d"];
// @ts-expect-error a number has no unit
defineTask("t", { timeout: 30 });
// TypeScript takes "30 " for a number: a space before the unit is refused when the program runs.
defineTask("t", { timeout: "30 s" });
// @ts-expect-error minutes are m
defineTask("t", { timeout: "5 minutes" });
// @ts-expect-error there is no week
defineTask("t", { retention: "1w" });
// @ts-expect-error no unit
sendWelcome({ userId: "u" }, { processIn: "30" });
// @ts-expect-error a Date, not a number
sendWelcome({ userId: "u" }, { processAt: Date.now() });
// @ts-expect-error a Date, not a string
defineTask("t", { deadline: "2026-01-01" });
// @ts-expect-error there is no option retries: it is maxRetry
defineTask("t", { retries: 3 });
// @ts-expect-error there is no option delay: it is processIn
sendWelcome({ userId: "u" }, { delay: "5s" });
// @ts-expect-error processIn is of a call, not of a definition
defineTask("t", { processIn: "5s" });
// @ts-expect-error an id is of a call, not of a definition
defineTask("t", { id: "x" });
// @ts-expect-error a policy is of a definition, not of a call
sendWelcome({ userId: "u" }, { retry: fixed("1s") });
// @ts-expect-error a number
defineTask("t", { maxRetry: "3" });
// @ts-expect-error nobody promises that
defineTask("t", { delivery: "exactly-once" });
// @ts-expect-error headers are strings
defineTask("t", { headers: { attempt: 1 } });
// @ts-expect-error the type of a task is text
defineTask(42);
// Left open is as good as left out.
const timeout: Duration | undefined = durations[0];
defineTask("t", { timeout, headers: { a: "b" }, delivery: "at-most-once" });

// --- Retry policies and steering --------------------------------------------------------------------------------------

defineTask("t", { retry: exponential({ base: "1s", max: "1h", factor: 3 }) });
defineTask("t", {
  retry: (error, { retried, maxRetry, type: name }) =>
    name === "t" && error instanceof Error ? retried * maxRetry : "5s",
});
// @ts-expect-error a policy is a function
defineTask("t", { retry: "5s" });
// @ts-expect-error a policy answers a duration with its unit, or ms
defineTask("t", { retry: () => "soon" });
// @ts-expect-error a policy answers at once
defineTask("t", { retry: async () => "5s" as const });
// @ts-expect-error it is called base
exponential({ minimum: "1s" });
// @ts-expect-error with its unit
fixed(30);
// @ts-expect-error with its unit
new RetryAfter(30);

// --- Codecs -----------------------------------------------------------------------------------------------------------

const upload = defineTask<Uint8Array>("upload", { codec: rawBytes });
upload(Buffer.from("x"));
// @ts-expect-error bytes, as the codec has it
upload("x");
const dates: Codec<Date> = { encode: (date) => Buffer.from(date.toJSON()), decode: (bytes) => new Date(String(bytes)) };
defineTask<Date>("dates", { codec: dates })(new Date());
// @ts-expect-error the codec is for dates
defineTask<string>("dates", { codec: dates });

// --- Schemas: what goes in, what comes out ------------------------------------------------------------------------------

const zodTask = defineTask("zod", { schema: z.object({ src: z.string(), width: z.coerce.number<string>() }) });
same<typeof zodTask, TaskDefinition<{ src: string; width: string }, void, { src: string; width: number }>>(true);
zodTask({ src: "a.png", width: "7" });
// @ts-expect-error before it is checked, width is text
zodTask({ src: "a.png", width: 7 });

const valibotTask = defineTask("valibot", {
  schema: v.object({
    day: v.pipe(
      v.string(),
      v.transform((day) => new Date(day)),
    ),
  }),
});
same<typeof valibotTask, TaskDefinition<{ day: string }, void, { day: Date }>>(true);
// @ts-expect-error day is missing
valibotTask({});

const arkTask = defineTask("arktype", { schema: type({ count: "string.numeric.parse" }), queue: "low" });
same<typeof arkTask, TaskDefinition<{ count: string }, void, { count: number }>>(true);
// @ts-expect-error before it is parsed, count is text
arkTask({ count: 5 });

// @ts-expect-error not a schema
defineTask("t", { schema: { src: "string" } });

// --- Results ----------------------------------------------------------------------------------------------------------

const report = defineTask<{ day: string }, { rows: number }>("report:daily", { retention: "1d" });
same<typeof report, TaskDefinition<{ day: string }, { rows: number }>>(true);
const checked = defineTask("report", {
  schema: z.object({ day: z.string() }),
  result: z.object({ rows: z.number() }),
  retention: "1d",
});
same<typeof checked, TaskDefinition<{ day: string }, { rows: number }, { day: string }>>(true);

// @ts-expect-error a result is kept with its task, so the task must be kept
defineTask<{ day: string }, { rows: number }>("report:daily");
// @ts-expect-error a result is kept with its task, so the task must be kept
defineTask<{ day: string }, { rows: number }>("report:daily", { queue: "low" });
// @ts-expect-error a result is kept with its task, so the task must be kept
defineTask("report", { schema: z.object({ day: z.string() }), result: z.object({ rows: z.number() }) });
