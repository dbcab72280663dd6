import { silent } from "../../src/core/log.js";
import { SkipRetry } from "../../src/core/steering.js";
import { Worker } from "../../src/worker/worker.js";
import { pause } from "../../src/core/loop.js";
import type { SimBroker } from "./broker.js";
import type { Journal } from "./journal.js";
import { simTask } from "./producer.js";
import type { Process } from "./world.js";

export interface ConsumerOptions {
  readonly concurrency: number;
  /** It alone takes the ordered queue, one task at a time. */
  readonly ordered: boolean;
}

/** A program that works. Started again and again until storage is there, as whoever runs workers does. */
export class Consumer {
  readonly process: Process;
  readonly broker: SimBroker;
  readonly worker: Worker;
  readonly #journal: Journal;
  #runs = 0;

  constructor(journal: Journal, broker: SimBroker, owner: Process, { concurrency, ordered }: ConsumerOptions) {
    this.#journal = journal;
    this.process = owner;
    this.broker = broker;
    this.worker = new Worker(broker, {
      concurrency,
      queues: { alpha: 2, beta: 1, ...(ordered && { ordered: { weight: 1, concurrency: 1 } }) },
      leaseDuration: "5s",
      stuckAfter: "6s",
      log: silent,
    });
    this.worker.handle(simTask, async (payload, { id, attempt, headers }) => this.#run(payload, id, attempt, headers));
    void this.#start();
  }

  async #run(
    payload: Uint8Array,
    id: string,
    attempt: number,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const hash = Buffer.from(payload).toString();
    const [plan, ms] = hash.split("|");
    const k = headers["k"]!;
    const run = `${this.process.name}#${(this.#runs += 1)}`;
    this.#journal.say({ e: "start", k, id, run, attempt, hash });
    await pause(Number(ms));
    const end = (how: "done" | "failed" | "skipped") => this.#journal.say({ e: "finish", k, run, how });
    if (plan === "flaky" && attempt === 1) {
      end("failed");
      throw new Error("the first attempt fails");
    }
    if (plan === "skip") {
      end("skipped");
      throw new SkipRetry("not wanted");
    }
    end("done");
  }

  async #start(): Promise<void> {
    for (;;) {
      try {
        await this.worker.start();
        return;
      } catch {
        await pause(200);
      }
    }
  }
}
