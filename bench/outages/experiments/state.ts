/** What is left when Redis comes back empty, and what waiting for it costs. */
import { setTimeout as sleep } from "node:timers/promises";
import { experiment } from "../experiment.js";
import { answerOf, comesTrue } from "../scene.js";

/** Of a connection, which every library complains about; the rest may say that data is gone. */
const aboutTheConnection = /ECONN|EPIPE|connect|clos|socket|EOF|refused|timeout|reset|broken pipe|offline/i;

const empty = experiment({
  name: "empty",
  durable: false,
  boundS: 120,
  async run(scene) {
    const tasks = 20;
    const [service] = await scene.hosts(1);
    await service!.open(scene.server.url);
    await service!.work(10);
    const repeats = await service!.repeat(2_000);
    if (repeats) await comesTrue(() => service!.starts.has(0), 8_000);
    await service!.enqueue({ count: tasks, inMs: 12_000 });
    await comesTrue(() => service!.answers.size === tasks, 5_000);
    const accepted = [...service!.answers.values()].filter(({ ok }) => ok).length;
    await sleep(500);
    await scene.server.kill();
    await sleep(1_000);
    await scene.redisIsBack();
    const backMs = performance.now();
    const ran = () => Array.from({ length: tasks }, (_, n) => n + 1).filter((n) => service!.starts.has(n)).length;
    await comesTrue(() => ran() === tasks, 25_000);
    const told = service!.told.filter(({ atMs, text }) => atMs >= backMs && !aboutTheConnection.test(text));
    const ticks = service!.starts.get(0)?.filter((atMs) => atMs > backMs + 3_000).length ?? 0;
    await service!.enqueue({ from: 100 });
    const answer = await answerOf(service!, 100, 10_000);
    const works = await comesTrue(() => service!.starts.has(100), 5_000);
    const spool = scene.contender.endsWith(":spool");
    return {
      spool,
      accepted,
      ran: ran(),
      told: [...new Set(told.map(({ text }) => text))],
      repeats,
      ticks,
      answer,
      works,
    };
  },
  rows: [
    {
      says: "Redis comes back empty: 20 tasks that it had confirmed a moment before, due later",
      cell: ({ accepted, ran }) => `${ran} of ${accepted} ran`,
      target: "with a spool all run",
      holds: ({ spool, accepted, ran }) => !spool || ran === accepted,
    },
    {
      says: "… what the library said about it",
      cell: ({ told }) =>
        told.length === 0
          ? "nothing"
          : told
              .slice(0, 3)
              .map((text) => `“${short(text)}”`)
              .join(", "),
      target: "an event",
      holds: ({ told }) => told.includes("dataLost"),
    },
    {
      says: "… a task enqueued afterwards",
      cell: ({ works, answer }) => (works ? "ran" : answer?.ok === true ? "accepted, not run" : "not accepted"),
      target: "runs",
      holds: ({ works }) => works,
    },
    {
      says: "… a repeating task",
      cell: ({ repeats, ticks }) => (repeats ? (ticks > 0 ? "goes on" : "gone") : "has none"),
      target: "not there yet",
      holds: () => true,
    },
  ],
});

/** In four seconds. */
const flood = 40_000;

const memory = experiment({
  name: "memory",
  durable: true,
  boundS: 120,
  async run(scene) {
    const [producer] = await scene.hosts(1);
    await producer!.open(scene.server.url);
    await producer!.enqueue({ from: 0, quiet: true });
    await comesTrue(async () => (await producer!.counts()).accepted === 1, 10_000);
    await scene.server.kill();
    await sleep(500);
    const beforeMb = await producer!.heldMb();
    let peakMb = 0;
    const watch = setInterval(() => (peakMb = Math.max(peakMb, producer!.memoryMb())), 50);
    const grownMb: number[] = [];
    for (const floods of [1, 2, 3]) {
      await producer!.enqueue({ from: flood * floods, count: flood, bytes: 200, perSecond: flood / 4, quiet: true });
      grownMb.push(Math.round((await producer!.heldMb()) - beforeMb));
      await comesTrue(async () => {
        const { accepted, refused } = await producer!.counts();
        return accepted + refused === floods * flood + 1;
      }, 6_000);
    }
    clearInterval(watch);
    // The call before the kill is one of them.
    const { accepted, refused } = await producer!.counts();
    return { grownMb, peakMb, accepted: accepted - 1, refused };
  },
  rows: [
    {
      says: "40,000 calls of 200 bytes in 4 s while Redis is away, then as many again, and again: how much more memory is in use at the end of each, garbage collected (the process at its largest, with garbage)",
      cell: ({ grownMb, peakMb, accepted, refused }) =>
        `${grownMb.join(", ")} MB (${peakMb.toFixed(0)} MB); ${[
          [accepted, "accepted"] as const,
          [refused, "refused"] as const,
          [3 * flood - accepted - refused, "unanswered"] as const,
        ]
          .filter(([count]) => count > 0)
          .map(([count, word]) => `${count.toLocaleString("en")} ${word}`)
          .join(", ")}`,
      target: "bounded: the last add < 20 MB; all answered",
      holds: ({ grownMb: [, second, third], accepted, refused }) =>
        third! - second! < 20 && accepted + refused === 3 * flood,
    },
  ],
});

export const state = [empty, memory];

function short(text: string): string {
  return text.length > 70 ? `${text.slice(0, 67)}…` : text;
}
