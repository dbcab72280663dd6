import type { EnqueueReceipt } from "../../src/broker/broker.js";
import type { Incarnation } from "../../src/broker/incarnation.js";
import { DisciplinedClock } from "../../src/core/clock.js";
import type { TaskInfo } from "../../src/core/info.js";
import type { NewTask, TaskMessage } from "../../src/core/message.js";
import type { SpoolStorage } from "../../src/spool/delivery.js";

/** A storage whose moods a test sets. */
export class MoodyStorage implements SpoolStorage {
  readonly label = "test";
  readonly clock = new DisciplinedClock();
  trustAfterMs = 50;
  incarnation: Incarnation | undefined = { id: "one", persistence: "aof" };
  /** What it says to a task; an error fails the call that has it. */
  answer: (task: NewTask) => EnqueueReceipt | Error = ({ message }) => {
    return { status: "enqueued", id: message.id, state: "pending" };
  };
  unfit: Error | undefined;
  readonly calls: NewTask[][] = [];
  readonly stored = new Map<string, TaskMessage>();

  async enqueue(tasks: readonly NewTask[]): Promise<EnqueueReceipt[]> {
    this.calls.push([...tasks]);
    const answers = tasks.map((task) => this.answer(task));
    const error = answers.find((answer) => answer instanceof Error);
    if (error !== undefined) throw error;
    const receipts = answers as EnqueueReceipt[];
    for (const [n, { message }] of tasks.entries())
      if (receipts[n]!.status === "enqueued") this.stored.set(message.id, message);
    return receipts;
  }

  async incarnations(queues: readonly string[]): Promise<(Incarnation | undefined)[]> {
    if (this.unfit !== undefined) throw this.unfit;
    return queues.map(() => this.incarnation);
  }

  async find(refs: readonly { readonly id: string }[]): Promise<(TaskInfo | undefined)[]> {
    return refs.map(({ id }) => {
      const message = this.stored.get(id);
      return message === undefined ? undefined : ({ id, message, state: "retry" } as TaskInfo);
    });
  }

  /** Ids in the order in which they were sent. */
  get sent(): string[] {
    return this.calls.flat().map(({ message }) => message.id);
  }
}
