import {
  groupAbout,
  grouped,
  type KnownCause,
  maxGroups,
  merged,
  overflowGroup,
  type QueueGroups,
  type StoredAbout,
  storedAbout,
} from "../../broker/failure-groups.js";
import { floorToS } from "../../core/duration.js";
import type { Fingerprint } from "../../core/fingerprint.js";
import type { Page, PageRequest } from "../../core/info.js";
import { infoColumns, type InfoRow, timeOf } from "../look.js";
import { mustBeThere } from "../mend.js";
import { besideBy, pageOf, type Place } from "../paging.js";
import type { Sql } from "../sql.js";

interface DeadRow {
  readonly id: string;
  readonly rank: number;
  readonly failure: string | null;
  readonly message: Uint8Array;
}

/** A group's members are counted as they come; triggers (schema.ts) count those that leave. */
export function indexDeadLetters(
  sql: Sql,
  { queues, limit }: { readonly queues: readonly string[]; readonly limit: number },
): number {
  let looked = 0;
  for (const queue of queues) {
    if (looked >= limit) break;
    const rows = sql(
      "SELECT id, rank, failure, message FROM task INDEXED BY task_unindexed WHERE queue = ? AND state = 'archived' AND fingerprint IS NULL ORDER BY rank LIMIT ?",
    ).all(queue, limit - looked) as DeadRow[];
    const homeOf = homesOf(sql, queue, rows.length);
    const changes = new Map<Fingerprint, { members: number; about: StoredAbout }>();
    for (const { id, rank, failure, message } of rows) {
      const { fingerprint, about } = grouped({ id, diedAtS: rank, bytes: message, failure: failure ?? undefined });
      const home = homeOf(fingerprint);
      const change = changes.get(home);
      changes.set(home, { members: (change?.members ?? 0) + 1, about: merged(change?.about, about) });
      mustBeThere(sql("UPDATE task SET fingerprint = ? WHERE queue = ? AND id = ?").run(home, queue, id));
    }
    for (const [fingerprint, { members, about }] of changes) count(sql, queue, fingerprint, members, about);
    looked += rows.length;
  }
  return looked;
}

/** Where they come to, at most so many: a queue has so many groups, and one for all others. */
function homesOf(sql: Sql, queue: string, most: number): (fingerprint: Fingerprint) => Fingerprint {
  const known = new Set<Fingerprint>();
  let room: number | undefined;
  let hasForgotten = false;
  return (fingerprint) => {
    if (known.has(fingerprint)) return fingerprint;
    if (aboutOf(sql, queue, fingerprint) === undefined) {
      room ??= maxGroups - groupCount(sql, queue);
      if (room <= 0 && !hasForgotten) {
        room += forgetEmpty(sql, queue, known, most - room);
        hasForgotten = true;
      }
      if (room <= 0) return overflowGroup;
      room -= 1;
    }
    known.add(fingerprint);
    return fingerprint;
  };
}

/** Groups that nobody is in, nor is coming to; what was seen last stays longest. Answers how many went. */
function forgetEmpty(sql: Sql, queue: string, coming: ReadonlySet<string>, most: number): number {
  const rows = sql("SELECT fingerprint, about FROM failure_group WHERE queue = ? AND members <= 0").all(queue) as Omit<
    GroupRow,
    "members"
  >[];
  const oldest = rows
    .filter(({ fingerprint }) => !coming.has(fingerprint))
    .map(({ fingerprint, about }) => ({ fingerprint, last: storedAbout(about)?.last ?? 0 }))
    .toSorted((a, b) => a.last - b.last)
    .slice(0, most);
  for (const { fingerprint } of oldest)
    sql("DELETE FROM failure_group WHERE queue = ? AND fingerprint = ?").run(queue, fingerprint);
  return oldest.length;
}

const groupCount = (sql: Sql, queue: string) =>
  (sql("SELECT count(*) AS groups FROM failure_group WHERE queue = ?").get(queue) as { groups: number }).groups;

const aboutOf = (sql: Sql, queue: string, fingerprint: Fingerprint) =>
  (
    sql("SELECT about FROM failure_group WHERE queue = ? AND fingerprint = ?").get(queue, fingerprint) as
      | { about: string }
      | undefined
  )?.about;

function count(sql: Sql, queue: string, fingerprint: Fingerprint, members: number, about: StoredAbout): void {
  const known = storedAbout(aboutOf(sql, queue, fingerprint) ?? "");
  sql(
    "INSERT INTO failure_group (queue, fingerprint, members, about) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET members = max(0, members) + excluded.members, about = excluded.about",
  ).run(queue, fingerprint, members, JSON.stringify(merged(known, about)));
}

interface GroupRow {
  readonly fingerprint: string;
  readonly members: number;
  readonly about: string;
}

/** What is counted one by one is counted no further than this. */
const mostCounted = 1_000;

export function failureGroups(
  sql: Sql,
  { queues, nowMs }: { readonly queues: readonly string[]; readonly nowMs: number },
): QueueGroups[] {
  const hourS = floorToS(nowMs) - 3_600;
  const countSince = (queue: string, fingerprint: string, fromS: number, toS: number) =>
    (
      sql(
        "SELECT count(*) AS died FROM (SELECT 1 FROM task WHERE queue = ? AND fingerprint = ? AND rank >= ? AND rank < ? LIMIT ?)",
      ).get(queue, fingerprint, fromS, toS, mostCounted) as { died: number }
    ).died;
  return queues.map((queue) => {
    const rows = sql("SELECT fingerprint, members, about FROM failure_group WHERE queue = ?").all(queue) as GroupRow[];
    const groups = rows.map(({ fingerprint, members, about }) => {
      const oldest = sql("SELECT min(rank) AS rank FROM task WHERE queue = ? AND fingerprint = ?").get(
        queue,
        fingerprint,
      ) as { rank: number | null };
      return {
        ...groupAbout(storedAbout(about)),
        fingerprint,
        count: Math.max(0, members),
        lastHour: countSince(queue, fingerprint, hourS, Number.MAX_SAFE_INTEGER),
        hourBefore: countSince(queue, fingerprint, hourS - 3_600, hourS),
        oldestAtMs: oldest.rank === null ? undefined : timeOf(oldest.rank * 1_000),
      };
    });
    const dead = sql("SELECT archived FROM queue WHERE name = ?").get(queue) as { archived: number } | undefined;
    const indexed = groups.reduce((sum, group) => sum + group.count, 0);
    return { queue, unindexed: Math.max(0, (dead?.archived ?? 0) - indexed), groups };
  });
}

export function groupMembers(
  sql: Sql,
  {
    queue,
    fingerprint,
    page,
  }: { readonly queue: string; readonly fingerprint: Fingerprint; readonly page: PageRequest },
): Page<InfoRow> {
  return pageOf(page, ({ rank, id }, back, most) => {
    const where = `queue = ? AND fingerprint = ? AND ${besideBy("rank", back)}`;
    return sql(`SELECT ${infoColumns} FROM task WHERE ${where}`).all(queue, fingerprint, rank, id, most) as InfoRow[];
  });
}

export function knownCauses(
  sql: Sql,
  { queue, page }: { readonly queue: string; readonly page: PageRequest },
): Page<KnownCause> {
  const { items, ...cursors } = pageOf(page, ({ rank, id }, back, most) => {
    const where = `queue = ? AND state = 'archived' AND ${besideBy("rank", back)}`;
    return sql(`SELECT rank, id, fingerprint FROM task WHERE ${where}`).all(queue, rank, id, most) as CauseRow[];
  });
  const causes = items.map(({ id, fingerprint }) => {
    const isKnown = fingerprint !== null && fingerprint !== overflowGroup;
    return { id, fingerprint: isKnown ? fingerprint : undefined };
  });
  return { items: causes, ...cursors };
}

interface CauseRow extends Place {
  readonly fingerprint: string | null;
}
