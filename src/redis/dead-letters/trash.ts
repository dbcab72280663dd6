import type { Act } from "../../broker/roles.js";
import { markText, storedMark } from "../../broker/stored-marks.js";
import type { DiscardedTask, DiscardReceipt, PurgeReceipt, RestoreReceipt } from "../../broker/trash.js";
import { ceilToS } from "../../core/duration.js";
import type { Page, PageRequest } from "../../core/info.js";
import { storedJson } from "../../core/stored-json.js";
import { listOf, timeOf } from "../answers.js";
import { statisticsOf } from "../exchange.js";
import { keysOf, trashedKey, trashKey } from "../keys.js";
import type { Caller, RedisLink } from "../link.js";
import { pageByScore } from "../list.js";
import { infoFrom, taskFields } from "../look.js";
import { discard as discardCall, purge as purgeCall, restore as restoreCall } from "../scripts.gen.js";
import { answerById } from "./by-ids.js";

const discarded = { d: "discarded", n: "notFound", w: "wrongState", t: "idTaken" } as const;
const restored = { r: "restored", l: "withoutLock", n: "notFound", t: "idTaken" } as const;
const purged = { p: "purged", n: "notFound" } as const;

export async function discard(
  link: Caller,
  queue: string,
  ids: readonly string[],
  untilMs: number,
  by: Act,
  nowMs: number,
): Promise<DiscardReceipt[]> {
  const { nowS } = statisticsOf(nowMs);
  const head = { nowS, nowMs, untilS: ceilToS(untilMs), ...who(by) };
  return answerById(link, ids, (some) => discardCall(keysOf(queue), { ...head, ids: some }), discarded);
}

export async function restore(
  link: Caller,
  queue: string,
  ids: readonly string[],
  by: Act,
  nowMs: number,
): Promise<RestoreReceipt[]> {
  const { nowS, keep, beforeS } = statisticsOf(nowMs);
  const head = { nowS, nowMs, keep, beforeS, mark: markText(by, nowMs), ...who(by) };
  return answerById(link, ids, (some) => restoreCall(keysOf(queue), { ...head, ids: some }), restored);
}

export async function purge(
  link: Caller,
  queue: string,
  ids: readonly string[],
  by: Act,
  nowMs: number,
): Promise<PurgeReceipt[]> {
  const head = { nowMs, ...who(by) };
  return answerById(link, ids, (some) => purgeCall(keysOf(queue), { ...head, ids: some }), purged);
}

/** Two trips: the ids with their times, then what is stored of each. */
export async function listTrash(link: RedisLink, queue: string, page: PageRequest): Promise<Page<DiscardedTask>> {
  const { entries, next, previous } = await pageByScore(link, [trashKey(queue)], page);
  const replies = await link.run(
    entries.map(({ id }) => ({ name: "HMGET", args: [trashedKey(queue, id), "hf_trash", ...taskFields] })),
  );
  const items = entries.flatMap(({ id, score }, n): DiscardedTask[] => {
    const hash = replies[n]!;
    if (!Array.isArray(hash)) return [];
    const [note, ...stored] = listOf(link.label, hash);
    const text = note?.toString();
    const task = infoFrom({ queue, id }, stored, timeOf(archivedIn(text)));
    if (task === undefined) return [];
    const mark = storedMark(text) ?? { atMs: 0, actor: "", reason: "" };
    return [{ task, discarded: mark, untilMs: timeOf(score) }];
  });
  return { items, next, previous };
}

/** Its score among the dead letters, as the script noted it. */
const archivedIn = (note: string | undefined) =>
  String((storedJson(note) as { readonly archived?: unknown } | undefined)?.archived ?? 0);

export const who = ({ actor, reason, requestId }: Act) => ({ actor, reason, request: requestId });
