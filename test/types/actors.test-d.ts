import { z } from "zod";
import {
  type Broker,
  Client,
  connect,
  defineTask,
  type EnqueueReceipt,
  HoldfastError,
  Worker,
} from "../../src/index.js";

const sendWelcome = defineTask<{ userId: string }>("email:welcome");
const tick = defineTask("tick");
const report = defineTask<{ day: string }, { rows: number }>("report:daily", { retention: "1d" });
const resize = defineTask("image:resize", { schema: z.object({ src: z.string(), width: z.coerce.number<string>() }) });

// --- connect ------------------------------------------------------------------------------------------------------------

const broker: Broker = connect("memory:");
connect("redis://localhost:6379", { timeout: "5s" });
// @ts-expect-error with its unit
connect("redis://localhost:6379", { timeout: 5_000 });
// @ts-expect-error the address is the first argument
connect("redis://localhost:6379", { url: "redis://localhost:6379" });
// @ts-expect-error a URL
connect(6379);

// --- Client -------------------------------------------------------------------------------------------------------------

const client = new Client(broker, { timeout: "2s", maxPayloadBytes: 1_000 });
// @ts-expect-error there is no such option
new Client(broker, { retries: 3 });
// @ts-expect-error with its unit
new Client(broker, { timeout: 2_000 });

const receipt: EnqueueReceipt = await client.enqueue(sendWelcome({ userId: "u" }, { processIn: "24h" }));
const receipts: EnqueueReceipt[] = await client.enqueueAll([
  sendWelcome({ userId: "u" }),
  tick(),
  report({ day: "today" }),
]);
// @ts-expect-error what is enqueued is a request: a definition that was called
await client.enqueue(sendWelcome);
// @ts-expect-error what is enqueued is a request: a definition that was called
await client.enqueue("email:welcome", { userId: "u" });
// @ts-expect-error one is not a list
await client.enqueueAll(tick());

// A receipt says by its status what more it knows.
if (receipt.status === "enqueued") receipt.state satisfies string;
// @ts-expect-error a duplicate is in no state: it was not taken
if (receipt.status === "duplicate") void receipt.state;
// @ts-expect-error there is no such status
if (receipt.status === "exists") void receipts;

// --- Worker ---------------------------------------------------------------------------------------------------------------

const worker = new Worker(broker, { concurrency: 20, queues: { critical: 6, low: 1 }, leaseDuration: "10s" });
// @ts-expect-error there is no such option
new Worker(broker, { threads: 4 });
// @ts-expect-error with its unit
new Worker(broker, { shutdownTimeout: 8 });
// @ts-expect-error weights are numbers
new Worker(broker, { queues: ["critical", "low"] });

worker.handle(sendWelcome, async ({ userId }, task) => {
  userId satisfies string;
  task.signal satisfies AbortSignal;
  task.attempt satisfies number;
  if (HoldfastError.is(task.signal.reason, "TASK_TIMEOUT")) task.signal.reason.data.timeoutMs satisfies number;
  // @ts-expect-error what the context tells cannot be changed
  task.attempt = 5;
});
worker.handle(sendWelcome, () => {});
// @ts-expect-error the payload is { userId: string }
worker.handle(sendWelcome, async (payload: { userId: number }) => {});
// @ts-expect-error the payload has no email
worker.handle(sendWelcome, async ({ email }) => {});
// @ts-expect-error there is no result to keep
worker.handle(sendWelcome, async () => ({ sent: true }));
// @ts-expect-error a definition, not a name
worker.handle("email:welcome", async () => {});

worker.handle(report, async ({ day }) => ({ rows: day.length }));
worker.handle(report, ({ day }) => ({ rows: day.length }));
// @ts-expect-error the result is missing
worker.handle(report, async () => {});
// @ts-expect-error rows is a number
worker.handle(report, async () => ({ rows: "3" }));

// A handler gets what the schema made of the payload.
worker.handle(resize, async ({ src, width }) => {
  src satisfies string;
  width satisfies number;
});
// @ts-expect-error width is a number by now
worker.handle(resize, async ({ width }) => void width.length);

worker.use(async (task, next) => {
  task.type satisfies string;
  return next();
});
// @ts-expect-error a middleware is asynchronous
worker.use((task, next) => 5);

await worker.stop();
// @ts-expect-error with its unit
await worker.stop({ timeout: 5_000 });
