import { count, counted } from "../core/counting.js";
import type { Outage } from "./outages.js";

/** For people: each outage with a message for stakeholders first, then what is known, and what to do. */
export function outageMarkdown(outages: readonly Outage[]): string {
  if (outages.length === 0) return "No outage is on record.\n";
  return outages.map((outage) => sections(outage).join("\n\n")).join("\n\n---\n\n") + "\n";
}

function sections(outage: Outage): string[] {
  return [
    `# ${title(outage)}`,
    "## Message for stakeholders",
    "Fill in what stands in <angle brackets>, and take out what does not matter to the reader.",
    [
      `> **What happened.** ${happened(outage)} The cause: <cause, or "being looked into">.`,
      `> **Impact.** ${impact(outage)} For users that meant: <which features, since when>.`,
      `> **What was not lost.** ${notLost(outage)}`,
      `> **What may be lost.** ${mayBeLost(outage)}`,
      "> **What we do.** <what is done now>. Next update: <time>. Contact: <name>.",
    ].join("\n>\n"),
    "## What is known",
    facts(outage),
    "## Possibly lost, and why",
    list(lostBecause(outage), "Nothing, as far as these processes know."),
    "## Perhaps run twice, and why",
    list(doubledBecause(outage), "Nothing, as far as these processes know."),
    "## What to do",
    list(toDo(outage), "Nothing more."),
    "## What this report does not know",
    list(limits, ""),
  ];
}

const limits = [
  "What programs in Go enqueued or finished: they write no records.",
  "What processes without a spool knew that ended before storage was back.",
  "Counts since a time are counted from the second before it, so they are upper bounds.",
];

function title({ beganAtMs, endedAtMs }: Outage): string {
  if (endedAtMs === undefined) return `Outage since ${time(beganAtMs)}`;
  if (endedAtMs === beganAtMs) return `Change of Redis at ${time(beganAtMs)}`;
  return `Outage of ${time(beganAtMs)}, ${length(endedAtMs - beganAtMs)}`;
}

function happened({ beganAtMs, endedAtMs, change, problem }: Outage): string {
  const until = endedAtMs === undefined ? "on, not over by the last record" : `to ${time(endedAtMs)}`;
  const how = change === undefined ? "" : ` ${ways[change.kind]}`;
  if (problem === "")
    return `At ${time(beganAtMs)} it was noticed that the task queue's storage (Redis) had changed.${how}`;
  const long = endedAtMs === undefined ? "" : ` (${length(endedAtMs - beganAtMs)})`;
  return `From ${time(beganAtMs)} ${until}${long} the task queue could not use its storage (Redis).${how}`;
}

const ways = {
  restarted: "It was restarted.",
  elsewhere: "Another server took over.",
  older: "It came back with data of an earlier time.",
  other: "It came back without its data, or with other data.",
};

function impact({ counts }: Outage): string {
  const { spooled, notSent, refused, unknown, turnedAway, longestDelayMs } = counts;
  const rejected = notSent + refused + turnedAway;
  return [
    "No background task could begin meanwhile; those under way went on.",
    spooled > 0 &&
      `${tasks(spooled)} ${were(spooled)} accepted all the same and delivered later, up to ${length(longestDelayMs)} late.`,
    rejected > 0 && `${tasks(rejected)} ${were(rejected)} not accepted, and the callers were told so.`,
    unknown > 0 && `Of ${tasks(unknown)} the callers could not be told whether they were accepted.`,
  ]
    .filter(Boolean)
    .join(" ");
}

function notLost({ counts: { spooled, waiting, parked }, lost }: Outage): string {
  const kept = spooled - waiting - parked;
  const spool = [
    kept > 0 && `${tasks(kept)} accepted during the outage ${were(kept)} kept on disk and delivered.`,
    waiting > 0 && `${tasks(waiting)} still ${waiting === 1 ? "waits" : "wait"} on disk for delivery.`,
    parked > 0 && `${tasks(parked)} ${were(parked)} set aside on disk, for storage cannot take them.`,
  ];
  const unless = lost.afterPowerCut > 0 ? ", unless its machine lost its power" : ", as far as is known";
  const stored = lost.tasks === 0 && `All tasks that storage had acknowledged before are there${unless}.`;
  return [...spool, stored].filter(Boolean).join(" ") || "<nothing that is known of>";
}

function mayBeLost({ lost, change }: Outage): string {
  const { unknown, afterPowerCut } = lost;
  const none = lost.tasks === 0 && unknown === 0 && afterPowerCut === 0;
  if (none) return "Nothing, as far as is known.";
  const since = change?.keptUntilMs === undefined ? "" : ` accepted after ${time(change.keptUntilMs)}`;
  return [
    lost.tasks > 0 && `${lost.certain ? "" : "At most "}${tasks(lost.tasks)}${since}${finishedOf(lost)}.`,
    afterPowerCut > 0 && `${tasks(afterPowerCut)} of the last two seconds, only if the machine lost its power.`,
    unknown > 0 && `Of ${tasks(unknown)} it is not known whether they were accepted.`,
  ]
    .filter(Boolean)
    .join(" ");
}

const finishedOf = ({ finished }: Outage["lost"]) =>
  finished > 0 ? `, of which up to ${count(finished)} had been finished before` : "";

function facts({ beganAtMs, endedAtMs, counts, change, problem, brokers, processes, doubled, lost }: Outage): string {
  const rows: [string, string][] = [
    ["Since", time(beganAtMs)],
    ["Until", endedAtMs === undefined ? "not over by the last record" : time(endedAtMs)],
    ["How long", endedAtMs === undefined ? "" : length(endedAtMs - beganAtMs)],
    ["Calls failed with", problem],
    ["How it came back", change === undefined ? "" : [ways[change.kind], change.problem].filter(Boolean).join(" ")],
    ["Data are there up to", change?.keptUntilMs === undefined ? "" : time(change.keptUntilMs)],
    ["Storage", brokers.join(", ")],
    ["Told by", counted(processes.length, "process", "processes")],
    ["Accepted by Redis meanwhile", count(counts.enqueued)],
    ["Accepted into spools", count(counts.spooled)],
    ["Of those delivered", count(counts.delivered)],
    ["Of those duplicates of others", count(counts.duplicates)],
    ["Of those still waiting", count(counts.waiting)],
    ["Of those parked", count(counts.parked)],
    ["Delayed, longest", counts.longestDelayMs === 0 ? "" : length(counts.longestDelayMs)],
    ["Sent again by spools", count(counts.replayed)],
    ["Not accepted, not sent", count(counts.notSent)],
    ["Not accepted, refused by Redis", count(counts.refused)],
    ["Not accepted, turned away by a limit or a full spool", count(counts.turnedAway)],
    ["Unknown whether accepted", count(counts.unknown)],
    ["Perhaps run twice, at most", count(doubled.tasks)],
    ["Possibly lost, at most", count(lost.tasks)],
  ];
  const told = rows.filter(([, value]) => value !== "");
  return told.map(([name, value]) => `- ${name}: ${plain(value)}`).join("\n");
}

function lostBecause({ lost, change, counts }: Outage): string[] {
  const { finished, afterPowerCut, unknown } = lost;
  const since = change?.keptUntilMs === undefined ? "ever" : `after ${time(change.keptUntilMs)}`;
  const why = {
    restarted: "Redis was restarted without an append-only file: what came after its last snapshot is gone",
    elsewhere: "another server took over, which may not have had the last writes yet",
    older: "the data that came back do not have them",
    other: "the data are gone",
  };
  return [
    ...(lost.tasks > 0 && change !== undefined
      ? [
          `${lost.certain ? "" : "At most "}${tasks(lost.tasks)} that Redis acknowledged ${since}: ${why[change.kind]}. ` +
            `Spooled tasks that were sent again are not among them${finishedOf({ ...lost, finished })}.`,
        ]
      : []),
    ...(afterPowerCut > 0
      ? [
          `At most ${tasks(afterPowerCut)} of the two seconds before, only if the machine lost its power: its disk may not have had them.`,
        ]
      : []),
    ...(unknown > 0
      ? [
          `${tasks(unknown)} whose enqueue threw with the outcome \`unknown\`: they may be in, or not; nobody sent them again.`,
        ]
      : []),
    ...(counts.parked > 0
      ? [`Not lost, but not delivered: ${tasks(counts.parked)} parked in spools, for storage could not take them.`]
      : []),
  ];
}

function doubledBecause({ doubled: { leaseLost, finishedBefore } }: Outage): string[] {
  return [
    ...(leaseLost > 0
      ? [`${tasks(leaseLost)} whose worker was cut off for longer than its lease: another one had been given them.`]
      : []),
    ...(finishedBefore > 0
      ? [`At most ${tasks(finishedBefore)} that had been finished, of which the data that came back may not know.`]
      : []),
  ];
}

function toDo({ counts, lost, doubled, change, endedAtMs }: Outage): string[] {
  const enqueueAgain = lost.tasks > 0 || lost.unknown > 0;
  return [
    ...(endedAtMs === undefined ? ["Bring Redis back; what is spooled is delivered by itself."] : []),
    ...(change?.kind === "other" || change?.kind === "older"
      ? [
          "Find out what emptied or replaced Redis. If there is a newer backup, restore it before anything else is enqueued.",
        ]
      : []),
    ...(enqueueAgain
      ? [
          "Enqueue again, from the source of truth (orders, uploads, …), what was accepted in that time, under the same ids: what is there answers `idTaken`.",
        ]
      : []),
    ...(doubled.tasks > 0
      ? ["Look at effects outside the queue (mails, payments) of tasks that may have run twice."]
      : []),
    ...(counts.waiting > 0 ? ["Watch the spools empty themselves: `holdfast spool ls DIRECTORY`."] : []),
    ...(counts.parked > 0 ? ["Look at parked tasks: `holdfast spool show DIRECTORY NAME`."] : []),
    ...(counts.notSent + counts.refused + counts.turnedAway > 0
      ? ['Callers that were refused know it: see that they tried again, or give them a spool (`whenDown: "spool"`).']
      : []),
    ...(change !== undefined && !change.appendOnly && change.kind !== "elsewhere"
      ? ["Turn on `appendonly yes`, so that a restart loses nothing."]
      : []),
  ];
}

const list = (lines: readonly string[], none: string) =>
  lines.length === 0 ? none : lines.map((line) => `- ${line}`).join("\n");

/** What Redis and the network said may hold anything. */
const plain = (text: string) => text.replaceAll(/\p{C}+/gu, " ");
const tasks = (n: number) => counted(n, "task");
const were = (n: number) => (n === 1 ? "was" : "were");
const time = (ms: number) => `${new Date(ms).toISOString().slice(0, -5).replace("T", " ")} UTC`;

function length(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
