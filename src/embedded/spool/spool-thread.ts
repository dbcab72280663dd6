import { parentPort, receiveMessageOnPort, type TransferListItem, workerData } from "node:worker_threads";
import { type Driver, loadDriver } from "../driver.js";
import { sentError } from "../sent-error.js";
import { FileSpool } from "./file-spool.js";
import type { FromSpoolThread, SpoolCall, SpoolReply, SpoolThreadData, ToSpoolThread } from "./spool-protocol.js";

/**
 * The thread of one spool's store. What arrives while it writes is written after that, in one transaction, and waits for
 * the disk once (group commit).
 */
const port = parentPort!;

/** About so many tasks are the most that one transaction takes: those that wait for their answer are waiting. */
const groupTasks = 2_000;
/** And so many bytes: a burst is to be seen to go on. */
const groupBytes = 16 * 1_048_576;

function serve(driver: Driver): void {
  const { plan, after } = workerData as SpoolThreadData;
  const spool = new FileSpool(driver, plan, after, (news) => tell({ from: "spool", ...news }));

  let tending: NodeJS.Timeout | undefined;
  let tendAtMs = Number.POSITIVE_INFINITY;

  port.on("message", (first: ToSpoolThread) => {
    let group: { number: number; call: SpoolCall }[] = [];
    let share = 0;
    for (let next: ToSpoolThread | undefined = first; next !== undefined; next = received()) {
      if (next.to === "end") {
        answer(group);
        clearTimeout(tending);
        spool.close();
        port.close();
        return;
      }
      group.push(next);
      share += shareOf(next.call);
      if (share < 1) continue;
      answer(group);
      group = [];
      share = 0;
    }
    answer(group);
    tendIn(spool.restMs());
  });

  /** Unless it is planned for earlier. */
  function tendIn(ms: number): void {
    if (performance.now() + ms >= tendAtMs) return;
    clearTimeout(tending);
    tendAtMs = performance.now() + ms;
    tending = setTimeout(() => {
      tendAtMs = Number.POSITIVE_INFINITY;
      spool.tend();
      tendIn(spool.restMs());
    }, ms);
  }

  function answer(group: readonly { number: number; call: SpoolCall }[]): void {
    if (group.length === 0) return;
    spool.run(group.map(({ call }) => call)).forEach((answered, index) => {
      const { number } = group[index]!;
      if ("error" in answered) tell({ from: "store", number, error: sentError(answered.error) });
      else tell({ from: "store", number, value: answered.value }, buffersOf(answered.value));
    });
  }
}

const received = (): ToSpoolThread | undefined => receiveMessageOnPort(port)?.message;

const tell = (message: FromSpoolThread, transfer: readonly TransferListItem[] = []): void =>
  port.postMessage(message, transfer);

/** How much of a group this is. */
function shareOf(call: SpoolCall): number {
  if (call.verb !== "append") return 1 / groupTasks;
  return Math.max(call.records.lengths.length / groupTasks, call.records.bytes.length / groupBytes);
}

/** What can be handed over instead of being copied. */
function buffersOf(value: SpoolReply): TransferListItem[] {
  return typeof value === "object" && "records" in value ? [value.records.bytes.buffer] : [];
}

loadDriver().then(serve, (error: unknown) => {
  // Each call is told, and none is left waiting.
  serve(() => {
    throw error;
  });
});
