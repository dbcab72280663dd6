import type { AuditEntry, AuditStore, NewAct } from "../broker/audit.js";
import { countOf, listOf, throwProblems } from "./answers.js";
import { auditKey, globalAuditKey, queuesKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { appendActs } from "./scripts.gen.js";

type Run = <T>(verb: (link: RedisLink) => Promise<T>) => Promise<T>;

/** So many logs are asked in one trip. */
const logsAtOnce = 500;

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
      const all: AuditEntry[][] = [];
      for (let n = 0; n < logs.length; n += logsAtOnce) {
        const some = logs.slice(n, n + logsAtOnce);
        const replies = await link.run(
          some.map(({ log, after }) => {
            const from = after === undefined ? "-" : `(${after}`;
            const range = newest ? ["XREVRANGE", "+", from] : ["XRANGE", from, "+"];
            return { name: range[0]!, args: [logKey(log), ...range.slice(1), "COUNT", limit] };
          }),
        );
        all.push(...replies.map((reply, k) => entriesIn(link, some[k]!.log, reply)));
      }
      return all;
    });
  }
}

export const logKey = (log: string) => (log === "" ? globalAuditKey : auditKey(log));

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

/** How many acts a log has counted, from a look at its last one. */
export function lastNumber(link: RedisLink, reply: Reply | undefined): number {
  const [last] = reply === undefined ? [] : entriesIn(link, "", reply);
  return last?.number ?? 0;
}
