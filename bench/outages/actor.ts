/**
 * A process of a contender: `actor.ts <contender> <folder>`. Asked by lines of JSON on stdin, it tells by lines of JSON on
 * stdout: ["reply", id, value], ["answer", n, ok, word, ms], ["start", n], ["end", n], ["told", text]. The Go program
 * bench/go/outages speaks the same.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Contender, Open } from "./contender.js";
import type { Ask } from "./host.js";

const [name, folder] = process.argv.slice(2) as [string, string];
const [library, variant = ""] = name.split(":");
const { open } = (await import(`./contenders/${library}.js`)) as { open: Open };

const say = (...words: readonly unknown[]) => void process.stdout.write(`${JSON.stringify(words)}\n`);
const tell = (text: string) => say("told", text);
const reasonOf = (error: unknown) => {
  const {
    code = "",
    data,
    message = String(error),
  } = error as {
    code?: string;
    data?: { outcome?: string };
    message?: string;
  };
  const words = [code, data?.outcome ?? "", message.split("\n")[0]];
  return words
    .filter((word) => word !== "")
    .join(" ")
    .slice(0, 200);
};
// What a library throws beside its calls is a thing it says, and no end of the process.
process.on("unhandledRejection", (error) => tell(reasonOf(error)));
process.on("uncaughtException", (error) => tell(reasonOf(error)));

let contender: Contender;
const counts = { accepted: 0, refused: 0 };

async function enqueue(n: number, { bytes, inMs, withId, quiet }: Ask): Promise<void> {
  const startMs = performance.now();
  let ok = true;
  const word = await contender.enqueue(n, { bytes, inMs, withId }).catch((error: unknown) => {
    ok = false;
    return reasonOf(error);
  });
  counts[ok ? "accepted" : "refused"] += 1;
  if (quiet !== true) say("answer", n, ok, word, performance.now() - startMs);
}

async function handle(ask: Ask): Promise<unknown> {
  switch (ask.verb) {
    case "open":
      contender = open({ url: ask.url!, folder, variant, tell });
      return contender.version;
    case "enqueue": {
      const { from = 1, count = 1, perSecond } = ask;
      const startMs = performance.now();
      // Together, what comes within 10 ms.
      const together = perSecond === undefined ? 500 : Math.ceil(perSecond / 100);
      for (let done = 1; done <= count; done += 1) {
        void enqueue(from + done - 1, ask);
        if (done % together > 0) continue;
        const dueMs = perSecond === undefined ? 0 : startMs + (done / perSecond) * 1_000;
        await sleep(Math.max(0, dueMs - performance.now()));
      }
      return counts;
    }
    case "work":
      return contender.work(ask.concurrency!, async (n) => {
        say("start", n);
        await sleep(ask.handlerMs ?? 0);
        say("end", n);
      });
    case "repeat":
      return contender.repeat(ask.everyMs!);
    case "left":
      return contender.left();
    case "counts":
      return counts;
    case "held": {
      gc!();
      const { heapUsed, external } = process.memoryUsage();
      return (heapUsed + external) / 1_048_576;
    }
    case "stop":
      return contender.stop();
  }
}

const asks = createInterface({ input: process.stdin });
// Whoever asked is gone.
asks.on("close", () => process.exit(0));
asks.on("line", (line) => {
  const ask = JSON.parse(line) as Ask;
  void handle(ask).then(
    (value) => say("reply", ask.id, value ?? null),
    (error: unknown) => say("told", `${ask.verb}: ${reasonOf(error)}`),
  );
});
say("reply", 0, null);
