import { isUtf8 } from "node:buffer";
import { groupOf } from "../broker/failure-groups.js";
import { unreadableFailure } from "../broker/inferred.js";
import type { Fingerprint } from "../core/fingerprint.js";
import type { TaskInfo } from "../core/info.js";
import { isJson, setOut } from "../core/json-text.js";
import { copiedFrom } from "../core/lineage.js";
import { printable } from "../core/printable.js";
import { scrub } from "../core/scrub.js";
import { time, Timeline } from "./timeline.js";

export interface IncidentOptions {
  /** What was looked for, in words. */
  readonly title?: string | undefined;
  /** Payloads of the samples, too: whoever gets the report reads them. Default: none. */
  readonly payloads?: boolean | undefined;
}

/** Causes that are told apart; what comes beyond is counted together. */
const mostCauses = 200;
const samplesPerCause = 2;
const mostMessage = 300;
const mostStack = 2_000;
const mostPayload = 2_000;

interface Cause {
  readonly fingerprint: Fingerprint;
  readonly reason: string;
  readonly class: string;
  readonly message: string;
  readonly inferred: boolean;
  count: number;
  firstMs: number;
  lastMs: number;
  readonly types: Map<string, number>;
  readonly queues: Map<string, number>;
  readonly builds: Set<string>;
  readonly samples: TaskInfo[];
}

/** An incident for people, in Markdown: gathered task by task, in memory that does not grow with them. */
export class Incident {
  readonly #causes = new Map<Fingerprint, Cause>();
  readonly #types = new Map<string, number>();
  readonly #queues = new Map<string, number>();
  readonly #timeline = new Timeline();
  #count = 0;
  #beyond = 0;
  #acknowledged = 0;
  #copied = 0;

  add(task: TaskInfo): void {
    const type = task.message?.type ?? "(unreadable)";
    const atMs = task.archivedAtMs ?? 0;
    this.#count += 1;
    if (task.acknowledged !== undefined) this.#acknowledged += 1;
    if (task.copies !== undefined) this.#copied += 1;
    this.#timeline.add(atMs);
    add(this.#types, type);
    add(this.#queues, task.queue);
    const cause = this.#causeOf(task, atMs);
    if (cause === undefined) {
      this.#beyond += 1;
      return;
    }
    cause.count += 1;
    cause.firstMs = Math.min(cause.firstMs, atMs);
    cause.lastMs = Math.max(cause.lastMs, atMs);
    add(cause.types, type);
    add(cause.queues, task.queue);
    const build = task.failure?.build;
    if (build !== undefined && cause.builds.size < 20) cause.builds.add(build);
    if (cause.samples.length < samplesPerCause) cause.samples.push(task);
  }

  #causeOf(task: TaskInfo, atMs: number): Cause | undefined {
    const { failure = unreadableFailure() } = task;
    const fingerprint = groupOf(task);
    const known = this.#causes.get(fingerprint);
    if (known !== undefined || this.#causes.size >= mostCauses) return known;
    const cause: Cause = {
      fingerprint,
      reason: failure.reason,
      class: failure.class,
      message: scrub(failure.message, mostMessage),
      inferred: failure.inferred === true,
      count: 0,
      firstMs: atMs,
      lastMs: atMs,
      types: new Map(),
      queues: new Map(),
      builds: new Set(),
      samples: [],
    };
    this.#causes.set(fingerprint, cause);
    return cause;
  }

  markdown({ title, payloads = false }: IncidentOptions, nowMs: number): string {
    if (this.#count === 0) return "No dead letter was found.\n";
    const causes = [...this.#causes.values()].toSorted((a, b) => b.count - a.count || a.firstMs - b.firstMs);
    return [
      `# ${title === undefined ? "Incident" : text(title)}: ${tasks(this.#count)}`,
      this.#summary(causes, nowMs),
      "## Causes",
      causesTable(causes),
      ...(this.#beyond === 0 ? [] : [`${tasks(this.#beyond)} of other causes are counted above, and not told here.`]),
      "## Timeline",
      ["```text", ...this.#timeline.lines(), "```"].join("\n"),
      "## Samples",
      payloads
        ? "Payloads are as they are stored: mind who reads them."
        : "Without payloads: `--payloads` puts them in. Texts are scrubbed of what looks like a secret.",
      ...causes.flatMap((cause, n) => samplesOf(cause, n + 1, payloads)),
      "## What to do next",
      nextSteps(causes[0]!),
    ]
      .join("\n\n")
      .concat("\n");
  }

  #summary(causes: readonly Cause[], nowMs: number): string {
    const { firstMs, lastMs } = this.#timeline;
    const top = causes[0]!;
    const share = Math.round((top.count / this.#count) * 100);
    return [
      `- **What**: ${tasks(this.#count)} of ${named(this.#types)}, in ${named(this.#queues)}`,
      `- **When**: ${time(firstMs)} to ${time(lastMs)} (as of ${time(nowMs)})`,
      `- **Why**: ${causes.length === 1 ? "one cause" : `${causes.length} causes`}; ${share} % are ${code(headline(top))}`,
      `- **Done so far**: ${this.#acknowledged} acknowledged, ${this.#copied} tried again as copies`,
    ].join("\n");
  }
}

function causesTable(causes: readonly Cause[]): string {
  return [
    "| # | Tasks | Cause | Reason | Types | First | Last | Builds | Fingerprint |",
    "|---|---:|---|---|---|---|---|---|---|",
    ...causes.map((cause, n) => {
      const cells = [
        String(n + 1),
        String(cause.count),
        code(headline(cause)),
        code(cause.reason) + (cause.inferred ? " (inferred)" : ""),
        named(cause.types),
        time(cause.firstMs),
        time(cause.lastMs),
        [...cause.builds].map(code).join(", ") || "-",
        code(cause.fingerprint),
      ];
      return `| ${cells.map(inCell).join(" | ")} |`;
    }),
  ].join("\n");
}

/** A bar ends a cell, in code, too, unless a backslash is before it; and that one must not be of the text. */
const inCell = (cell: string) => cell.replaceAll(String.raw`\|`, String.raw`\ |`).replaceAll("|", String.raw`\|`);

const headline = (cause: Pick<Cause, "class" | "message">) =>
  `${cause.class === "" ? "" : `${cause.class}: `}${firstLine(cause.message)}` || "(no message)";

function samplesOf(cause: Cause, number: number, payloads: boolean): string[] {
  return [`### Cause ${number}: ${text(headline(cause))}`, ...cause.samples.map((task) => sample(task, payloads))];
}

function sample(task: TaskInfo, payloads: boolean): string {
  const { message, failure } = task;
  const of = message === undefined ? undefined : copiedFrom(message);
  const facts = [
    `**${text(task.id)}** in ${code(task.queue)}, type ${code(message?.type ?? "(unreadable)")}`,
    `died ${time(task.archivedAtMs ?? 0)}`,
    message === undefined
      ? "its message cannot be decoded"
      : `failed ${message.retried} of ${message.maxRetry} times allowed`,
    ...(task.crashes > 0 ? [`${task.crashes} crashes of its worker`] : []),
    ...(of === undefined ? [] : [`a copy of ${code(`${of.queue}/${of.id}`)}`]),
    ...(task.acknowledged === undefined ? [] : [`acknowledged by ${text(task.acknowledged.actor)}`]),
    ...(task.copies ?? []).map((copy) => `copied as ${code(`${copy.queue}/${copy.id}`)} by ${text(copy.actor)}`),
  ];
  const trace = scrub(failure?.stack ?? failure?.message ?? message?.lastError ?? "", mostStack);
  const parts = [facts.join(", ") + ".", ...(trace === "" ? [] : [fenced(trace)])];
  if (payloads && message !== undefined) parts.push("Payload:", fenced(payloadText(message.payload)));
  return parts.join("\n\n");
}

function payloadText(payload: Uint8Array): string {
  if (!isUtf8(payload)) return `${payload.length} bytes: ${Buffer.from(payload.subarray(0, 256)).toString("hex")}`;
  const stored = Buffer.from(payload).toString();
  const shown = isJson(stored) ? setOut(stored) : stored;
  return shown.length > mostPayload ? `${shown.slice(0, mostPayload)}…` : shown;
}

function nextSteps({ fingerprint }: Cause): string {
  return [
    "```sh",
    `holdfast dlq search 'fp:${fingerprint}'`,
    `holdfast dlq export --where 'fp:${fingerprint}' --out dead-letters.jsonl`,
    "```",
  ].join("\n");
}

function add(counts: Map<string, number>, name: string): void {
  if (counts.has(name) || counts.size < 1_000) counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** The most frequent three, and how many more there are. */
function named(counts: ReadonlyMap<string, number>): string {
  const names = [...counts].toSorted(([, a], [, b]) => b - a).map(([name]) => code(name));
  const more = names.length - 3;
  return names.slice(0, 3).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

const tasks = (count: number) => `${count} dead ${count === 1 ? "letter" : "letters"}`;
const firstLine = (message: string) => message.split(/\r?\n/, 1)[0]!.slice(0, 120);
/** What a terminal obeys is spelt out everywhere: reports are looked at with `cat`, too. */
const line = (words: string) => printable(words.replaceAll(/\s+/g, " ").trim());
const text = (words: string) => line(words).replaceAll(/[\\`*_[\]<>|#&~]/g, String.raw`\$&`);

/** Fences longer than any run of backticks within. */
function fence(inside: string, least: number): string {
  const longest = Math.max(0, ...Array.from(inside.matchAll(/`+/g), ([run]) => run.length));
  return "`".repeat(Math.max(least, longest + 1));
}
function code(inside: string): string {
  const words = line(inside) || "-";
  const marks = fence(words, 1);
  return marks.length === 1 ? `\`${words}\`` : `${marks} ${words} ${marks}`;
}
function fenced(inside: string): string {
  const lines = inside.split(/\r?\n/).map((one) => printable(one.replaceAll("\t", "    ")));
  const marks = fence(inside, 3);
  return [`${marks}text`, ...lines, marks].join("\n");
}
