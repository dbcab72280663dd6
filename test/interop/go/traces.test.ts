import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { describeRedis, RedisServer } from "../../support/redis-server.js";
import { asynqPart } from "./asynq-part.js";
import { differences, type Difference } from "./differences.js";
import { type Operation, operations, type Side } from "./operations.js";
import { buildTimeoutMs, describeGo, goProgram } from "./programs.js";
import { GoSide } from "./go-side.js";
import { InspectorSide, OurSide } from "./our-side.js";
import { Recorder, type Trace } from "./trace.js";

const recorded = join(import.meta.dirname, "traces.json");
const page = join(import.meta.dirname, "../../../docs/internals/trace-differences.md");

/** Of an operation: what was written, and what is there after it. */
interface Told {
  readonly writes: Trace;
  readonly leaves: Record<string, unknown>;
}
type Traces = Record<string, Told>;

/** Of all operations, or of some. */
async function traces(server: RedisServer, open: () => Promise<Side>, of = operations): Promise<Traces> {
  const recorder = await Recorder.on(server);
  const told: Traces = {};
  for (const { name, arrange, act, withServers } of of) {
    await server.admin.flushall();
    const side = await open();
    await arrange(side);
    const writes = await recorder.record(() => act(side), withServers);
    told[name] = { writes, leaves: await asynqPart(server.admin) };
    await side.close();
  }
  recorder.close();
  return told;
}

describe("what Holdfast and asynq write", () => {
  /** What was recorded just now; where there is no Go, the file tells. */
  let fresh: Traces | undefined;

  describeGo("asynq", () => {
    beforeAll(() => goProgram("witness"), buildTimeoutMs);

    it("writes, for each operation, what is recorded of it", async () => {
      // A server beats every five seconds: meanwhile the others are done.
      const some = async (of: readonly Operation[]) => {
        await using server = await RedisServer.start();
        return await traces(server, () => GoSide.open(server), of);
      };
      const ofServers = ({ withServers = false }: Operation) => withServers;
      const [others, servers] = await Promise.all([
        some(operations.filter((one) => !ofServers(one))),
        some(operations.filter(ofServers)),
      ]);
      const told = { ...others, ...servers };

      fresh = told;
      await expect(`${JSON.stringify(told, undefined, 2)}\n`).toMatchFileSnapshot(recorded);
    }, 60_000);
  });

  describeRedis("Holdfast", () => {
    it("writes the same and leaves the same, but for differences of which each has a reason", async () => {
      await using server = await RedisServer.start();
      const asynq = fresh ?? (JSON.parse(readFileSync(recorded, "utf8")) as Traces);
      const holdfast = await traces(server, async () => new OurSide(server));

      expect(Object.keys(asynq)).toEqual(operations.map(({ name }) => name));
      const explained = compared(asynq, holdfast);
      expect(explained.filter(({ rule }) => rule === undefined)).toEqual([]);
      expect(differences.filter((rule) => !explained.some((one) => one.rule === rule))).toEqual([]);
      await expect(pageOf(explained)).toMatchFileSnapshot(page);
    }, 30_000);

    it("does, by its inspector, what its engine does, and no more", async () => {
      await using server = await RedisServer.start();
      const engine = await traces(server, async () => new OurSide(server));

      const inspector = await traces(server, async () => new InspectorSide(server));

      for (const { name } of operations) expect([name, inspector[name]]).toEqual([name, engine[name]]);
    }, 60_000);
  });
});

type SideName = "asynq" | "holdfast";
interface Explained {
  readonly name: string;
  readonly side: SideName;
  readonly line: string;
  readonly rule: Difference | undefined;
}

/** What either has and the other has not, with the reason. */
function compared(asynq: Traces, holdfast: Traces): Explained[] {
  const found = operations.flatMap(({ name }) => {
    const [theirs, ours] = [linesOf(asynq[name]!), linesOf(holdfast[name]!)];
    return [
      ...only(theirs, ours).map((line) => ({ name, side: "asynq" as const, line })),
      ...only(ours, theirs).map((line) => ({ name, side: "holdfast" as const, line })),
    ];
  });
  return found.map((one) => ({ ...one, rule: ruleOf(one.name, one.side, one.line) }));
}

const linesOf = ({ writes, leaves }: Told) => [...writes.map((line) => `write: ${line}`), ...leavings(leaves, "left:")];

/** A tree as lines, one a leaf. */
function leavings(tree: unknown, path: string): string[] {
  if (typeof tree !== "object" || tree === null) return [`${path} = ${JSON.stringify(tree)}`];
  if (Array.isArray(tree)) return [`${path} = ${JSON.stringify(tree)}`];
  return Object.entries(tree).flatMap(([name, below]) => leavings(below, `${path} ${name}`));
}

/** Lines that are there more often than among the others, as often as that. */
function only(of: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return of.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

const ruleOf = (name: string, side: SideName, line: string) =>
  differences.find((rule) => (rule.in ?? /./).test(name) && rule[side]?.test(line) === true);

/** docs/internals/trace-differences.md, as it has to be. */
function pageOf(explained: readonly Explained[]): string {
  const sections = differences.map((rule) => {
    const of = explained.filter((one) => one.rule === rule);
    const names = operations.map(({ name }) => name).filter((name) => of.some((one) => one.name === name));
    const parts = (["asynq", "holdfast"] as const).flatMap((side) => {
      const lines = linesOnPage(of.filter((one) => one.side === side));
      if (lines.length === 0) return [];
      const name = side === "asynq" ? "asynq" : "Holdfast";
      return [`${name} alone:`, "", ...lines.map((line) => `- ${line}`), ""];
    });
    const where = names.length > 20 ? `In ${names.length} of the operations.` : `In: ${names.join(" · ")}.`;
    return [`## ${rule.title}`, "", rule.why, "", where, "", ...parts].join("\n");
  });
  return `${preface}\n${sections.join("\n")}`;
}

/** Each once, with how often it comes in one operation at most. */
function linesOnPage(explained: readonly Explained[]): string[] {
  const times = new Map<string, number>();
  for (const { name, line } of explained) {
    const here = explained.filter((one) => one.name === name && one.line === line).length;
    times.set(line, Math.max(here, times.get(line) ?? 0));
  }
  return [...times]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([line, n]) => `\`${line}\`${n > 1 ? `, ${n} times` : ""}`);
}

const preface = `# Where Holdfast writes other than asynq

Tests let asynq 0.26 and Holdfast do the same ${operations.length} operations on a queue of the same content, record with MONITOR what each
writes, and compare that and what is there afterwards: keys, types, fields, messages, and what expires; of what is written also
which entry, how often, and times by how far off they are (to five seconds, from a day on to the hour). What asynq does is kept
in \`test/interop/go/traces.json\`; a test runs asynq and holds it against that. All differences are below, each with its
reason: a difference without one fails the test, as does a reason without a difference. This page is written by that test
(\`npx vitest run test/interop/go/traces -u\`).

A line starting with \`write:\` is what is done to one entry, in however many commands: what both do, but one of them more often,
is told with the rest. \`left:\` is what is there afterwards. \`q\` is the queue, \`a\` to \`f\` are tasks, \`g\` is a
group. What a server does now and then, whatever its tasks are, is told where it is the operation (saying that it lives), and
else left out, as is looking for aggregation sets that are over.
`;
