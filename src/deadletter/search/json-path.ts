import type { SearchValue } from "./query.js";

/** What is at a path; a number is told with its digits as they are written, for a double would round them. */
export type JsonValue =
  | { readonly kind: "string" | "number" | "word"; readonly text: string }
  /** An object or an array. */
  | { readonly kind: "container" };

/**
 * Whether a value at this path passes the test; a step `*` is any member or element. One walk over the text, without making
 * anything of what is not asked for; in what is no JSON nothing is found behind the place where it breaks.
 */
export function hasValueAt(json: string, path: readonly SearchValue[], test: (value: JsonValue) => boolean): boolean {
  try {
    return new Walk(json, path, test).passes(0);
  } catch (error) {
    if (error instanceof NotJson) return false;
    throw error;
  }
}

class NotJson extends Error {}

const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;
/** What matters where a value is only passed over. */
const passedOver = /["{}[\]]/g;

class Walk {
  readonly #json: string;
  readonly #path: readonly SearchValue[];
  readonly #test: (value: JsonValue) => boolean;
  #at = 0;

  constructor(json: string, path: readonly SearchValue[], test: (value: JsonValue) => boolean) {
    this.#json = json;
    this.#path = path;
    this.#test = test;
  }

  /** Of the value that is next, with so many steps of the path behind: goes past it, or stops where it has found one. */
  passes(steps: number): boolean {
    const first = this.#next();
    if (steps === this.#path.length) return this.#passesItself(first);
    if (first === "{") return this.#someMember(this.#path[steps]!, steps);
    if (first === "[") return this.#someElement(this.#path[steps]!, steps);
    this.#skip(first);
    return false;
  }

  #passesItself(first: string): boolean {
    if (first === "{" || first === "[") {
      if (this.#test({ kind: "container" })) return true;
      this.#skip(first);
      return false;
    }
    return this.#test(this.#scalar(first));
  }

  #someMember(step: SearchValue, steps: number): boolean {
    this.#at += 1;
    if (this.#takes("}")) return false;
    do {
      if (this.#next() !== '"') throw new NotJson();
      const name = this.#string();
      if (!this.#takes(":")) throw new NotJson();
      if (name === step.text || isAny(step)) {
        if (this.passes(steps + 1)) return true;
      } else this.#skip(this.#next());
    } while (this.#takes(","));
    if (!this.#takes("}")) throw new NotJson();
    return false;
  }

  #someElement(step: SearchValue, steps: number): boolean {
    this.#at += 1;
    if (this.#takes("]")) return false;
    let index = 0;
    do {
      if (String(index) === step.text || isAny(step)) {
        if (this.passes(steps + 1)) return true;
      } else this.#skip(this.#next());
      index += 1;
    } while (this.#takes(","));
    if (!this.#takes("]")) throw new NotJson();
    return false;
  }

  /** The first character of what comes, behind blanks. */
  #next(): string {
    while (" \t\n\r".includes(this.#json.charAt(this.#at)) && this.#at < this.#json.length) this.#at += 1;
    return this.#json.charAt(this.#at);
  }

  #takes(character: string): boolean {
    if (this.#next() !== character) return false;
    this.#at += 1;
    return true;
  }

  #scalar(first: string): JsonValue {
    if (first === '"') return { kind: "string", text: this.#string() };
    const kind = first === "-" || (first >= "0" && first <= "9") ? "number" : "word";
    const pattern = kind === "number" ? number : word;
    pattern.lastIndex = this.#at;
    const [text] = pattern.exec(this.#json) ?? [];
    if (text === undefined) throw new NotJson();
    this.#at += text.length;
    return { kind, text };
  }

  #string(): string {
    const from = this.#at;
    this.#skipString();
    const text = this.#json.slice(from, this.#at);
    if (!text.includes("\\")) return text.slice(1, -1);
    try {
      return JSON.parse(text) as string;
    } catch {
      throw new NotJson();
    }
  }

  #skipString(): void {
    for (this.#at += 1; ; this.#at += 1) {
      const character = this.#json.charAt(this.#at);
      if (character === "") throw new NotJson();
      if (character === "\\") this.#at += 1;
      if (character === '"') break;
    }
    this.#at += 1;
  }

  /** Over a value, however deep it is, without a call for each level. */
  #skip(first: string): void {
    if (first !== "{" && first !== "[") {
      this.#scalar(first);
      return;
    }
    let depth = 0;
    do {
      passedOver.lastIndex = this.#at;
      const found = passedOver.exec(this.#json);
      if (found === null) throw new NotJson();
      this.#at = found.index;
      if (found[0] === '"') {
        this.#skipString();
        continue;
      }
      depth += found[0] === "{" || found[0] === "[" ? 1 : -1;
      this.#at += 1;
    } while (depth > 0);
  }
}

const isAny = ({ text, quoted }: SearchValue) => text === "*" && !quoted;
