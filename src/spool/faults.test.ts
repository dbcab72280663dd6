import { afterEach, describe, expect, it, vi } from "vitest";
import { newTask } from "../../test/support/builders.js";
import { MemorySpoolStore } from "../../test/support/memory-spool-store.js";
import { MoodyStorage } from "../../test/support/moody-storage.js";
import { until } from "../../test/support/until.js";
import { type Logger, silent } from "../core/log.js";
import type { NewTask } from "../core/message.js";
import { LocalSpool } from "./local-spool.js";
import { Looks } from "./looks.js";
import { ReleaseRule } from "./release.js";

describe("a spool in which something fails that should not", () => {
  const spools: LocalSpool[] = [];
  afterEach(async () => {
    vi.restoreAllMocks();
    await Promise.all(spools.splice(0).map((spool) => spool.close()));
  });
  const open = (log: Logger = silent) => {
    const store = new MemorySpoolStore();
    const storage = new MoodyStorage();
    const spool = new LocalSpool(storage, { directory: "memory", openStore: async () => store, log });
    spools.push(spool);
    const accept = (tasks: readonly NewTask[]) => spool.accept(tasks, storage.clock.nowMs());
    const empty = () => until("the spool is empty", () => store.tasks.length === 0);
    return { store, storage, spool, accept, empty };
  };

  it("goes on though the logger throws, and says on stderr what it was told", async () => {
    const broken = () => {
      throw new Error("the disk of the logs is full");
    };
    const said = vi.spyOn(console, "warn").mockImplementation(() => {});
    const log = { debug: broken, info: broken, warn: broken, error: broken };
    const { storage, accept, empty } = open(log);
    storage.incarnation = { id: "one", persistence: "snapshot" };
    await accept([newTask({ id: "a" })]);
    await empty();
    expect(said).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining("disk of the logs is full"),
      expect.anything(),
    );
  });

  it("lets no more wait for a task of the same lock than memory can bear, its disk hanging", async () => {
    const { store, accept } = open();
    const append = store.append.bind(store);
    let goOn = () => {};
    const hangs = new Promise<void>((resolve) => (goOn = resolve));
    store.append = (...given) => hangs.then(() => append(...given));
    const payload = Buffer.alloc(10 * 1_048_576);
    const unique = (id: string) => newTask({ id, uniqueKey: "lock", payload }, { uniqueForMs: 60_000 });
    const ids = (count: number) => Array.from({ length: count }, (_, n) => `${n}`);
    let refused = 0;

    const told = ids(60).map((id) => accept([unique(id)]).catch((error: unknown) => (refused += 1) && error));
    // The first is being written; 51 wait.
    await until("the others are refused", () => refused === 8);
    goOn();

    const ends = await Promise.all(told);
    expect(ends.slice(1, 52).flat()).toEqual(ids(51).map(() => ({ status: "duplicate", id: "0" })));
    expect(ends.slice(52)).toMatchObject(ids(8).map(() => ({ code: "SPOOL_FAILED", data: { directory: "memory" } })));
  });

  it("looks again when a look has failed, whatever it was", async () => {
    const told: unknown[] = [];
    let found = 0;
    const trust = () => ({ afterMs: 50, afterSave: false });
    const looks = new Looks(new MoodyStorage(), new ReleaseRule(), trust, {
      onReleased() {},
      onAgain() {},
      onFound() {
        found += 1;
        if (found <= 2) throw new Error(`of a handler, ${found}`);
      },
      onUnfit() {},
      onTrouble: (error) => told.push(error),
    });
    for (let n = 0; n < 3; n += 1) await looks.at(["q"]);
    expect(found).toBe(3);
    expect(told).toEqual([new Error("of a handler, 1")]);
  });

  it("sends what was chosen when the step that was to send it failed", async () => {
    const { storage, spool, accept, empty } = open();
    await accept([newTask({ id: "a" })]);
    await empty();
    const failing = vi.spyOn(ReleaseRule.prototype, "eraOf").mockImplementationOnce(() => {
      throw new Error("what nobody thought of");
    });
    await accept([newTask({ id: "b", queue: "other" })]);
    await until("the step has failed", () => failing.mock.calls.length > 0);
    spool.nudge();
    await empty();
    expect(storage.sent).toEqual(["a", "b"]);
    expect(spool.holds("other")).toBe(false);
  });
});
