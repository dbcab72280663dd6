import type { AuditEntry, AuditStore, ChainEnd, LogPlace, NewAct, SealedText, Sealing } from "../broker/audit.js";
import { inTrips } from "../core/portions.js";
import { countOf, listOf, numberIn, throwProblems } from "./answers.js";
import { auditKey, globalAuditKey, queuesKey, sealedKey, sealedPlacesKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { appendActs, seal as sealCall } from "./scripts.gen.js";

type Run = <T>(verb: (link: RedisLink) => Promise<T>) => Promise<T>;

const logsPerTrip = 500;

export class RedisAudit implements AuditStore {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async append(acts: readonly NewAct[], nowMs: number): Promise<void> {
    await this.#run((link) => append(link, acts, nowMs));
  }

  async logs(): Promise<string[]> {
    return this.#run(async (link) => {
      const [names] = await link.run([{ name: "SMEMBERS", args: [queuesKey] }]);
      return ["", ...listOf(link.label, names).map(String).toSorted()];
    });
  }

  async read(
    logs: readonly { readonly log: string; readonly after?: string | undefined }[],
    limit: number,
    newest = false,
  ): Promise<AuditEntry[][]> {
    return this.#run(async (link) => {
      const commands = logs.map(({ log, after }) => {
        const from = after === undefined ? "-" : `(${after}`;
        const range = newest ? ["XREVRANGE", "+", from] : ["XRANGE", from, "+"];
        return { name: range[0]!, args: [logKey(log), ...range.slice(1), "COUNT", limit] };
      });
      const replies = await inTrips(commands, logsPerTrip, (some) => link.run(some));
      return replies.map((reply, n) => entriesIn(link, logs[n]!.log, reply));
    });
  }

  async sealing(): Promise<Sealing> {
    return this.#run(async (link) => {
      const [stored, last, count] = await link.run([
        { name: "HGETALL", args: [sealedPlacesKey] },
        { name: "ZRANGE", args: [sealedKey, -1, -1, "WITHSCORES"] },
        { name: "ZCARD", args: [sealedKey] },
      ]);
      const fields = listOf(link.label, stored).map(String);
      const places: LogPlace[] = [];
      let head: ChainEnd | undefined;
      for (let n = 0; n + 1 < fields.length; n += 2) {
        const [name, [first = "", second = ""]] = [fields[n]!, fields[n + 1]!.split(" ")];
        if (name.startsWith("log:"))
          places.push({ log: name.slice(4), id: first, number: countOf(second) || undefined });
        else if (name === "head") head = { n: countOf(first), hash: second };
      }
      const [end] = textsIn(link, last);
      return { places, head, last: end && { n: end.n, hash: end.hash }, count: numberIn(link.label, count) };
    });
  }

  /** The places follow the chain in a trip of their own: who finds them behind reads what the chain has more. */
  async seal(
    records: readonly SealedText[],
    after: ChainEnd | undefined,
    places: readonly LogPlace[],
  ): Promise<boolean> {
    return this.#run(async (link) => {
      const rows = records.map(({ n: number, hash, text }) => ({ number, hash, text }));
      const head = { afterN: after?.n ?? 0, afterHash: after?.hash ?? "" };
      const [reply] = await link.run([sealCall({ sealed: sealedKey }, head, rows)]);
      if (reply instanceof LinkError) throw reply.toError(link.label);
      if (reply === 0) return false;
      if (reply !== 1) throwProblems(link.label, [String(reply)]);
      const { n, hash } = records.at(-1)!;
      const kept = places.flatMap((place) => [`log:${place.log}`, `${place.id} ${place.number ?? 0}`]);
      const [written] = await link.run([{ name: "HSET", args: [sealedPlacesKey, "head", `${n} ${hash}`, ...kept] }]);
      if (written instanceof LinkError) throw written.toError(link.label);
      return true;
    });
  }

  async sealed(from: number, limit: number): Promise<SealedText[]> {
    return this.#run(async (link) => {
      const range = [sealedKey, from, "+inf", "BYSCORE", "LIMIT", 0, limit, "WITHSCORES"];
      const [reply] = await link.run([{ name: "ZRANGE", args: range }]);
      return textsIn(link, reply);
    });
  }

  async trimSealed(before: number): Promise<void> {
    await this.#run(async (link) => {
      const [reply] = await link.run([{ name: "ZREMRANGEBYSCORE", args: [sealedKey, "-inf", `(${before}`] }]);
      if (reply instanceof LinkError) throw reply.toError(link.label);
    });
  }
}

function textsIn(link: RedisLink, reply: Reply | undefined): SealedText[] {
  const list = listOf(link.label, reply).map(String);
  return list.flatMap((member, n) => {
    if (n % 2 === 1) return [];
    const space = member.indexOf(" ");
    return [{ n: Number(list[n + 1]), hash: member.slice(0, space), text: member.slice(space + 1) }];
  });
}

const logKey = (log: string) => (log === "" ? globalAuditKey : auditKey(log));

export async function append(link: RedisLink, acts: readonly NewAct[], nowMs: number): Promise<void> {
  if (acts.length === 0) return;
  const rows = acts.map(({ requestId: request, ...act }) => ({ ...act, request }));
  const [reply] = await link.run([appendActs({ log: globalAuditKey }, { nowMs }, rows)]);
  if (reply instanceof LinkError) throw reply.toError(link.label);
  if (String(reply) !== "appended") throwProblems(link.label, [String(reply)]);
}

/** A key that is something else is no log. */
function entriesIn(link: RedisLink, log: string, reply: Reply): AuditEntry[] {
  if (reply instanceof LinkError && reply.code === "WRONGTYPE") return [];
  return listOf(link.label, reply).flatMap((entry) => (Array.isArray(entry) ? entryIn(log, entry) : []));
}

function entryIn(log: string, [id, stored]: readonly Reply[]): AuditEntry {
  const list = Array.isArray(stored) ? stored.map(String) : [];
  const fields = new Map<string, string>();
  for (let n = 0; n + 1 < list.length; n += 2) fields.set(list[n]!, list[n + 1]!);
  const text = (name: string) => fields.get(name) ?? "";
  return {
    log,
    id: String(id),
    number: countOf(text("n")) || undefined,
    atMs: countOf(text("at")),
    actor: text("actor"),
    reason: text("reason"),
    requestId: text("request"),
    verb: text("verb"),
    what: text("what"),
    count: countOf(text("count")),
  };
}

/** How many acts a log has counted, from a look at its last one; that it is being dropped is none of them. */
export function lastNumber(link: RedisLink, reply: Reply | undefined): number {
  const [last] = reply === undefined ? [] : entriesIn(link, "", reply);
  return last?.number === undefined ? 0 : last.number - (last.verb === "drop" ? 1 : 0);
}
