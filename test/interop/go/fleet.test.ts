import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connect } from "../../../src/index.js";
import { RedisServer } from "../../support/redis-server.js";
import { until } from "../../support/until.js";
import { fill, MixedFleet, ofGo, queues } from "./mixed-fleet.js";
import { buildTimeoutMs, describeGo, goProgram } from "./programs.js";

const tasks = process.env["FLEET"] === "full" ? 50_000 : 10_000;

describeGo(`${tasks} tasks on five queues, with three worker processes each of Go and of Holdfast`, () => {
  let folder: string;
  let server: RedisServer;
  let fleet: MixedFleet;

  beforeAll(async () => {
    await goProgram("witness");
    folder = await mkdtemp(join(tmpdir(), "holdfast-mixed-"));
    server = await RedisServer.start();
    fleet = new MixedFleet(server, folder, 0);
  }, buildTimeoutMs);
  afterAll(async () => {
    await fleet.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("each runs once, and once more where it failed; nothing is left, and the counters add up", async () => {
    await using broker = connect(server.url);
    const { ids, flaky } = await fill(server, tasks);
    for (const _ of [1, 2, 3]) await Promise.all([fleet.addGo(), fleet.addOurs()]);

    const infos = () => broker.queues(broker.clock.nowMs());
    const left = async () =>
      (await infos()).reduce((sum, { counts }) => sum + Object.values(counts).reduce((a, b) => a + b), 0);
    await until("no task is left, the kept ones included", async () => (await left()) === 0, 120_000);
    const warnings = await fleet.stop();

    const runs = fleet.runs();
    const attempts = (id: string) => runs.get(id)?.map(({ attempt }) => attempt) ?? [];
    const expected = (id: string) => (flaky.has(id) ? [1, 2] : [1]);
    expect(runs.size).toBe(ids.size);
    expect([...ids].filter((id) => attempts(id).join() !== expected(id).join())).toEqual([]);
    const all = [...runs.values()].flat();
    const inGo = all.filter(ofGo).length;
    // oxlint-disable-next-line no-console -- a figure for whoever reads the report
    console.info(`${all.length} runs, ${inGo} of them in Go`);
    expect(Math.min(inGo, all.length - inGo)).toBeGreaterThan(all.length / 50);
    expect(warnings).toEqual([]);

    const counted = await infos();
    expect(counted.map(({ name }) => name)).toEqual(Object.keys(queues));
    expect(counted.reduce((sum, { processed }) => sum + processed, 0)).toBe(ids.size + flaky.size);
    expect(counted.reduce((sum, { failed }) => sum + failed, 0)).toBe(flaky.size);
    // Of a queue without tasks there are its name and its counters, what we remember for a while, and how attempts ended.
    const rest = (await server.admin.keys("*")).filter((key) => !/:(processed|failed)(:[\d-]+)?$/.test(key));
    expect(rest.filter((key) => !/^holdfast:\{q\d\}:((done|req):|outcomes$)/.test(key)).toSorted()).toEqual([
      "asynq:queues",
      "holdfast:data",
      "holdfast:schema",
    ]);
  }, 180_000);
});
