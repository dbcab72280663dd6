import { expect, it } from "vitest";
import type { StoredDocument } from "../../broker/documents.js";
import { connect } from "../../index.js";
import type { Desk } from "../desk.js";
import { addQueues, forgetQueues, readQueues } from "./queue-pages.js";

async function opened() {
  const broker = connect("memory:");
  const store = broker.deadLetters!;
  return { broker, store, desk: { broker, store, nowMs: () => broker.clock.nowMs() } as unknown as Desk };
}

const names = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => `queue-${from + n}`.padEnd(128, "x"));
const bytes = ({ value }: StoredDocument) => JSON.stringify(value).length;

it("keeps the names of thousands of queues on pages that are documents", async () => {
  const { broker, store, desk } = await opened();
  await using _ = broker;
  let pages = 0;
  for (let n = 0; n < 5_000; n += 200) pages = await addQueues(desk, "r", pages, names(n, n + 200));

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
  const pages = await addQueues(desk, "r", 0, ["first"]);

  await Promise.all([names(0, 100), names(100, 200)].map((some) => addQueues(desk, "r", pages, some)));

  expect((await readQueues(desk, "r", pages)).toSorted()).toEqual([...names(0, 200), "first"].toSorted());
});
