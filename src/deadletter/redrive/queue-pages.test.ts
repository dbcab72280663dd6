import { expect, it } from "vitest";
import type { StoredDocument } from "../../broker/documents.js";
import { connect, Inspector } from "../../index.js";
import { newTask } from "../../../test/support/builders.js";
import type { Desk } from "../desk.js";
import { DeadLetters } from "../index.js";
import { addQueues, forgetQueues, readQueues } from "./queue-pages.js";

async function opened() {
  const broker = connect("memory:");
  const store = broker.deadLetters!;
  return { broker, store, desk: { broker, store, nowMs: () => broker.clock.nowMs() } as unknown as Desk };
}

/** Where there is room. */
const added = async (...given: Parameters<typeof addQueues>) => (await addQueues(...given)) as number;

const names = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => `queue-${from + n}`.padEnd(128, "x"));
const bytes = ({ value }: StoredDocument) => JSON.stringify(value).length;

it("keeps the names of thousands of queues on pages that are documents", async () => {
  const { broker, store, desk } = await opened();
  await using _ = broker;
  let pages = 0;
  for (let n = 0; n < 5_000; n += 200) pages = await added(desk, "r", pages, names(n, n + 200));

  expect((await readQueues(desk, "r", pages)).toSorted()).toEqual(names(0, 5_000).toSorted());
  const documents = await store.readDocuments("redrive-queues");
  expect(documents).toHaveLength(pages);
  expect(Math.max(...documents.map(bytes))).toBeLessThan(65_536);

  await forgetQueues(desk, "r", pages);
  expect(await store.readDocuments("redrive-queues")).toEqual([]);
});

it("loses no name of who adds at the same moment", async () => {
  const { broker, desk } = await opened();
  await using _ = broker;
  const pages = await added(desk, "r", 0, ["first"]);

  await Promise.all([names(0, 100), names(100, 200)].map((some) => addQueues(desk, "r", pages, some)));

  expect((await readQueues(desk, "r", pages)).toSorted()).toEqual([...names(0, 200), "first"].toSorted());
});

it("writes nothing over of who took over meanwhile, and whoever reads finds the names of both", async () => {
  const { broker, desk } = await opened();
  await using _ = broker;
  const before = await added(desk, "r", 0, names(0, 200));
  await addQueues(desk, "r", before, names(200, 3_000));

  const pages = await added(desk, "r", before, names(5_000, 5_500));

  expect((await readQueues(desk, "r", pages)).toSorted()).toEqual(
    [...names(0, 3_000), ...names(5_000, 5_500)].toSorted(),
  );
});

it("has the names of all queues in which a redrive has chosen before it moves anything", async () => {
  const { broker, store } = await opened();
  await using _ = broker;
  await broker.enqueue([newTask({ id: "a", queue: "mail" })], broker.clock.nowMs());
  await new Inspector(broker).archive({ queue: "mail", ids: ["a"] });
  const { redrives } = new DeadLetters(broker);
  const { id } = await redrives.start("queue:mail", { rate: 5_000, ramp: "0s", canary: 0 });
  const choose = store.chooseDead.bind(store);
  store.chooseDead = async (...given) => {
    await forgetQueues({ store, nowMs: () => broker.clock.nowMs() } as unknown as Desk, id, 1);
    return choose(...given);
  };

  for (let n = 0; n < 3; n += 1) await redrives.step(fail);

  expect(await redrives.get(id)).toMatchObject({ queues: 1, counts: { waiting: 1 } });
});

it("makes room for those that come: of redrives that are over so many pages are kept, and no more", async () => {
  const { broker, store, desk } = await opened();
  await using _ = broker;
  const nowMs = broker.clock.nowMs();
  const { redrives } = new DeadLetters(broker);
  const { id } = await redrives.start("queue:mail");
  const [{ value } = { value: {} }] = await store.readDocuments("redrive", [id]);
  for (const [n, name] of ["first", "second", "third"].entries()) {
    const over = { phase: "ended", createdAtMs: nowMs + n, endedAtMs: nowMs, queuePages: 2_000 };
    await store.writeDocuments(
      "redrive-ended",
      [{ id: name, value: { ...Object(value), ...over }, ifVersion: 0 }],
      nowMs,
    );
    await addQueues(desk, name, 0, names(0, 400));
  }

  await redrives.start("queue:mail");

  const redrivesOf = async (kind: "redrive-ended" | "redrive-queues") =>
    new Set((await store.readDocuments(kind)).map((one) => one.id.split("/")[0]));
  expect(await redrivesOf("redrive-ended")).toEqual(new Set(["second", "third"]));
  expect(await redrivesOf("redrive-queues")).toEqual(new Set(["second", "third"]));
});

it("forgets also pages of which nobody was told", async () => {
  const { broker, store, desk } = await opened();
  await using _ = broker;
  await addQueues(desk, "r", 0, names(0, 1_000));

  await forgetQueues(desk, "r", 1);

  expect(await store.readDocuments("redrive-queues")).toEqual([]);
});

it("ends a redrive for whose queues there is no room, and says why", async () => {
  const { broker, store } = await opened();
  await using _ = broker;
  // More than one step chooses: some are chosen, and their queue is on a page, when there is no room for the next.
  for (const [queue, many] of [
    ["mail", 2_200],
    ["sms", 1],
  ] as const) {
    const ids = names(0, many);
    await broker.enqueue(
      ids.map((id) => newTask({ id, queue })),
      broker.clock.nowMs(),
    );
    await new Inspector(broker).archive({ queue, ids });
  }
  const { redrives } = new DeadLetters(broker);
  const { id } = await redrives.start("state:dead", { rate: 5_000, ramp: "0s", canary: 0 });
  const write = store.writeDocuments.bind(store);
  let written = 0;
  store.writeDocuments = async (kind, ...rest) => {
    if (kind !== "redrive-queues") return write(kind, ...rest);
    written += 1;
    return written === 1 ? write(kind, ...rest) : [{ status: "full" }];
  };

  const ended = await redrives.drive(id);

  expect(ended).toMatchObject({ phase: "ended", status: "cancelled", counts: { left: 0 } });
  expect(ended.says).toMatch("no room for the names of its queues");
  expect(written).toBe(2);
  store.writeDocuments = write;
  // Its tasks are free for another.
  const other = await redrives.start("queue:mail", { rate: 5_000, ramp: "0s", canary: 0 });
  for (let n = 0; n < 6; n += 1) await redrives.step(fail);
  const { counts } = await redrives.get(other.id);
  expect(counts.left + counts.waiting).toBe(2_200);
});

function fail(error: unknown): never {
  throw error;
}
