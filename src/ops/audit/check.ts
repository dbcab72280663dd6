import type { AuditStore } from "../../broker/audit.js";
import type { CheckingKeys } from "./keys.js";
import { type AuditHead, type AuditRecord, hashOf, headOf, isSigned, noHash, recordIn } from "./record.js";
import { saidBy } from "./seal.js";

export interface ChainProblem {
  /** At which record; undefined where the line is none. */
  readonly n: number | undefined;
  readonly problem: string;
}

export interface ChainVerdict {
  /** Nothing was changed, taken out, put elsewhere or cut off, as far as the heads reach. */
  readonly ok: boolean;
  readonly records: number;
  /** The first ones; `problemCount` has all. */
  readonly problems: readonly ChainProblem[];
  readonly problemCount: number;
  /** What the sealer itself wrote down as missing. */
  readonly told: readonly ChainProblem[];
  readonly first: number | undefined;
  /** The end, to be kept elsewhere. */
  readonly head: AuditHead | undefined;
}

const problemsKept = 100;

/** Checks a sealed log, line by line, from wherever it comes: storage, or files that were exported. */
export class ChainCheck {
  readonly #keys: CheckingKeys;
  readonly #heads: readonly AuditHead[];
  readonly #met = new Set<AuditHead>();
  readonly #problems: ChainProblem[] = [];
  readonly #told: ChainProblem[] = [];
  #problemCount = 0;
  #records = 0;
  #first: number | undefined;
  #trimmed = 0;
  #last: AuditRecord | undefined;

  /** @param heads ends that were kept elsewhere: the log must have had each of them */
  constructor(keys: CheckingKeys, heads: readonly AuditHead[] = []) {
    this.#keys = keys;
    this.#heads = heads;
    for (const head of heads) {
      const problem = this.#signature(head);
      if (problem !== undefined) this.#wrong(head.n, `the head that was kept: ${problem}`);
    }
  }

  add(line: string): void {
    const record = recordIn(line);
    if (record === undefined) return this.#wrong(undefined, "a line that is no record");
    const { n, kind, prev, hash } = record;
    this.#records += 1;
    this.#follows(record);
    if (hashOf(record) !== hash) this.#wrong(n, "was changed: it does not have its hash");
    const problem = this.#signature(record);
    if (problem !== undefined) this.#wrong(n, problem);
    for (const head of this.#heads) {
      if (head.n !== n) continue;
      this.#met.add(head);
      if (head.hash !== hash)
        this.#wrong(n, "is not the one whose hash was kept: the log was cut off before, and written anew");
    }
    if (kind === "gap" || kind === "loss") this.#told.push({ n, problem: saidBy(record) });
    if (kind === "trim") this.#trimmed = Math.max(this.#trimmed, record.count);
    if (this.#first === undefined) {
      this.#first = n;
      if (n === 1 && prev !== noHash) this.#wrong(n, "is said to be the first, and follows another");
    }
    this.#last = record;
  }

  end(): ChainVerdict {
    const first = this.#first;
    const last = this.#last?.n ?? 0;
    if (first !== undefined && first - 1 > this.#trimmed) {
      this.#wrong(first, `${range(1, first - 1)} missing before it`);
    }
    for (const head of this.#heads) {
      if (this.#met.has(head)) continue;
      if (head.n > last) this.#wrong(last, `the log ends here, and had ended at ${head.n}: its end was cut off`);
      else if (first !== undefined && head.n >= first) this.#wrong(head.n, "is missing, and its hash was kept");
    }
    return {
      ok: this.#problemCount === 0,
      records: this.#records,
      problems: this.#problems,
      problemCount: this.#problemCount,
      told: this.#told,
      first,
      head: this.#last && headOf(this.#last),
    };
  }

  #follows({ n, prev }: AuditRecord): void {
    const last = this.#last;
    if (last === undefined) return;
    if (n > last.n + 1) this.#wrong(n, `${range(last.n + 1, n - 1)} missing before it`);
    else if (n <= last.n) this.#wrong(n, `stands behind ${last.n}: records were put in another order, or repeated`);
    else if (prev !== last.hash) this.#wrong(n, `does not follow record ${last.n}`);
  }

  #signature({ n, hash, key: id, sig }: Pick<AuditHead, "n" | "hash" | "key" | "sig">): string | undefined {
    const key = this.#keys.get(id);
    if (key === undefined) return `is signed by the key ${id}, which is none of those given`;
    return isSigned({ n, hash, sig }, key) ? undefined : "its signature is not valid";
  }

  #wrong(n: number | undefined, problem: string): void {
    this.#problemCount += 1;
    if (this.#problems.length < problemsKept) this.#problems.push({ n, problem });
  }
}

const range = (from: number, to: number) => (from === to ? `record ${from} is` : `records ${from} to ${to} are`);

const pageSize = 1_000;

/** The sealed log, line by line, from a record on. */
export async function* sealedLines(audit: AuditStore, from = 1): AsyncGenerator<string, void> {
  for (let next = from; ;) {
    const page = await audit.sealed(next, pageSize);
    for (const { text } of page) yield text;
    if (page.length < pageSize) return;
    next = page.at(-1)!.n + 1;
  }
}

/** The sealed log in storage. Its own note of its end counts as one that was kept elsewhere, though it was not. */
export async function checkStored(
  audit: AuditStore,
  keys: CheckingKeys,
  heads: readonly AuditHead[] = [],
): Promise<ChainVerdict> {
  const { head } = await audit.sealing();
  const check = new ChainCheck(keys, heads);
  for await (const line of sealedLines(audit)) check.add(line);
  const verdict = check.end();
  if (head === undefined || head.n <= (verdict.head?.n ?? 0)) return verdict;
  const cut = {
    n: verdict.head?.n,
    problem: `the log ends here, and storage says that it had ended at ${head.n}: its end was cut off`,
  };
  return { ...verdict, ok: false, problems: [...verdict.problems, cut], problemCount: verdict.problemCount + 1 };
}
