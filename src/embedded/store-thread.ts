import { parentPort, receiveMessageOnPort, type TransferListItem, workerData } from "node:worker_threads";
import type { Lease } from "../broker/broker.js";
import { systemClock } from "../core/clock.js";
import { type Driver, loadDriver } from "./driver.js";
import { EmbeddedStore } from "./embedded-store.js";
import { Lookout } from "./lookout.js";
import type { Packed } from "./packed.js";
import type { Renewed } from "./renew.js";
import { FollowingClock, Renewer } from "./renewer.js";
import { sentError } from "./sent-error.js";
import type { FromThread, ThreadData, ToKeeper, ToLookout, ToStore, ToThread } from "./thread-protocol.js";

/**
 * The thread of one store: it carries out calls, and renews leases whatever the main thread is busy with. Calls that
 * arrive while it works are carried out in one transaction after that, and wait for the disk once (group commit).
 */
const port = parentPort!;

/** About so many tasks are the most that one transaction works on: other processes want to write too. */
const groupTasks = 2_000;
/** Nothing was asked for so long: time to tidy up. */
const idleMs = 1_000;

function serve(driver: Driver): void {
  const { location, label } = workerData as ThreadData;
  const store = new EmbeddedStore(driver, location, label);
  const lookout = new Lookout(store, location, (subscriber, signal) => tell({ from: "lookout", subscriber, signal }));
  const renewers = new Map<number, Renewer>();
  const clock = new FollowingClock(systemClock);
  const idle = setTimeout(() => store.rest(), idleMs);

  port.on("message", (first: ToThread) => {
    let group: ToStore[] = [];
    for (let next: ToThread | undefined = first; next !== undefined; next = received()) {
      switch (next.to) {
        case "store":
          group.push(next);
          if (tasksIn(group) < groupTasks) break;
          answer(group);
          group = [];
          break;
        case "keeper":
          steer(next);
          break;
        case "lookout":
          direct(next);
          break;
        case "end":
          answer(group);
          return end();
      }
    }
    answer(group);
    idle.refresh();
  });

  function answer(group: readonly ToStore[]): void {
    if (group.length === 0) return;
    const answers = store.run(group);
    answers.forEach((answered, index) => {
      const { number } = group[index]!;
      if ("error" in answered) tell({ from: "store", number, error: sentError(answered.error) });
      else tell({ from: "store", number, value: answered.value }, buffersOf(answered.value));
    });
    lookout.committed(group, answers);
  }

  function steer(order: ToKeeper): void {
    const { keeper } = order;
    const renewer = renewers.get(keeper);
    switch (order.act) {
      case "open":
        renewers.set(keeper, new Renewer(order.leaseMs, clock, (leases) => renew(keeper, leases)));
        return;
      case "hold":
        return renewer?.hold(order.leases);
      case "drop":
        return renewer?.drop(order.leases);
      case "close":
        renewers.delete(keeper);
        return renewer?.close();
    }
    order satisfies never;
  }

  function direct(order: ToLookout): void {
    const { subscriber } = order;
    switch (order.act) {
      case "subscribe":
        return lookout.subscribe(subscriber, order.queues);
      case "watch":
        return lookout.watch(subscriber, order.on);
      case "unsubscribe":
        return lookout.unsubscribe(subscriber);
    }
    order satisfies never;
  }

  function renew(keeper: number, leases: readonly Lease[]): readonly Lease[] {
    const [answered] = store.run([{ verb: "renew", args: { leases } }]);
    if (answered === undefined) return [];
    if ("error" in answered) {
      tell({ from: "keeper", keeper, error: sentError(answered.error) });
      return [];
    }
    const { lost, cancelled } = answered.value as Renewed;
    if (lost.length > 0) tell({ from: "keeper", keeper, lost });
    if (cancelled.length > 0) tell({ from: "keeper", keeper, cancelled });
    return lost;
  }

  function end(): void {
    for (const renewer of renewers.values()) renewer.close();
    clearTimeout(idle);
    lookout.close();
    store.close();
    port.close();
  }
}

const received = (): ToThread | undefined => receiveMessageOnPort(port)?.message;

const tell = (message: FromThread, transfer: readonly TransferListItem[] = []): void =>
  port.postMessage(message, transfer);

function tasksIn(group: readonly ToStore[]): number {
  return group.reduce((sum, { args }) => sum + ("rows" in args ? args.rows.length : 1), 0);
}

/** What can be handed over instead of being copied. */
function buffersOf(value: unknown): TransferListItem[] {
  return typeof value === "object" && value !== null && "messages" in value
    ? [(value as { messages: Packed }).messages.bytes.buffer]
    : [];
}

loadDriver().then(serve, (error: unknown) => {
  // Each call is told, and none is left waiting.
  serve(() => {
    throw error;
  });
});
