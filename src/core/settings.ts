import { type Duration, toMs } from "./duration.js";
import { invalidOption, shown } from "./errors.js";
import { plainText } from "./names.js";

/**
 * One option: from this one line come its default, its check, its row in the reference and, in the CLI, its flag.
 * `parse` turns what a user wrote into what the inside works with, or throws OPTION_INVALID.
 */
export interface Setting<In, Out> {
  readonly kind: "integer" | "duration" | "date" | "flag" | "choice" | "text" | "record";
  readonly says: string;
  readonly default: In | undefined;
  /** What is allowed, in words: "1 … 10000". */
  readonly allowed: string;
  parse(value: unknown, option: string): Out;
}

interface DurationSetting<In, Out> extends Setting<In, Out> {
  readonly kind: "duration";
}

// oxlint-disable-next-line typescript/no-explicit-any -- a table holds settings of all types; Given and Resolved read them
type Any = any;
type Settings = Readonly<Record<string, Setting<Any, Any>>>;

/** What a user may write: every option optional, durations with their unit. */
export type Given<S extends Settings> = {
  [K in keyof S]?: S[K] extends Setting<infer In, Any> ? In | undefined : never;
};

/** What the inside works with: every option present, durations as `…Ms` numbers. */
export type Resolved<S extends Settings> = {
  readonly [K in keyof S as S[K] extends DurationSetting<Any, Any> ? `${K & string}Ms` : K]: S[K] extends Setting<
    Any,
    infer Out
  >
    ? Out
    : never;
};

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

export const setting = {
  integer<D extends number | undefined>(o: { default: D; says: string } & Bounds) {
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = o;
    const allowed = `a whole number, ${min} … ${max}`;
    return {
      kind: "integer",
      says: o.says,
      default: o.default as number | undefined,
      allowed,
      parse(value: unknown, option: string): number | (D extends undefined ? undefined : never) {
        if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
          throw invalidOption(option, `must be ${allowed}, got ${shown(value)}`);
        }
        return value as number;
      },
    } satisfies Setting<number, number | undefined>;
  },

  duration<D extends Duration | undefined>(o: { default: D; says: string; min?: Duration; max?: Duration }) {
    const minMs = o.min === undefined ? 0 : toMs(o.min, "min");
    const maxMs = o.max === undefined ? Number.POSITIVE_INFINITY : toMs(o.max, "max");
    const allowed = `a duration, ${o.min ?? "0s"} … ${o.max ?? "36500d"}`;
    return {
      kind: "duration" as const,
      says: o.says,
      default: o.default as Duration | undefined,
      allowed,
      parse(value: unknown, option: string): number | (D extends undefined ? undefined : never) {
        const ms = toMs(value as Duration, option);
        if (ms < minMs || ms > maxMs) throw invalidOption(option, `must be ${allowed}, got ${shown(value)}`);
        return ms;
      },
    } satisfies Setting<Duration, number | undefined>;
  },

  date(o: { says: string }) {
    return {
      kind: "date",
      says: o.says,
      default: undefined as Date | undefined,
      allowed: "a valid Date",
      parse(value: unknown, option: string): Date | undefined {
        if (!(value instanceof Date) || Number.isNaN(value.getTime())) {
          throw invalidOption(option, `must be a valid Date, got ${shown(value)}`);
        }
        return value;
      },
    } satisfies Setting<Date, Date | undefined>;
  },

  flag(o: { default: boolean; says: string }) {
    return {
      kind: "flag",
      says: o.says,
      default: o.default as boolean | undefined,
      allowed: "true or false",
      parse(value: unknown, option: string): boolean {
        if (typeof value !== "boolean") throw invalidOption(option, `must be true or false, got ${shown(value)}`);
        return value;
      },
    } satisfies Setting<boolean, boolean>;
  },

  choice<const C extends string, D extends NoInfer<C> | undefined>(o: { of: readonly C[]; default: D; says: string }) {
    const allowed = `one of ${o.of.map((c) => `"${c}"`).join(", ")}`;
    return {
      kind: "choice",
      says: o.says,
      default: o.default as C | undefined,
      allowed,
      parse(value: unknown, option: string): C | (D extends undefined ? undefined : never) {
        if (!o.of.includes(value as C)) throw invalidOption(option, `must be ${allowed}, got ${shown(value)}`);
        return value as C;
      },
    } satisfies Setting<C, C | undefined>;
  },

  text<D extends string | undefined>(o: {
    default: D;
    says: string;
    allowed: string;
    parse: (value: unknown, option: string) => string;
  }) {
    return {
      kind: "text",
      says: o.says,
      default: o.default as string | undefined,
      allowed: o.allowed,
      parse: o.parse as (value: unknown, option: string) => string | (D extends undefined ? undefined : never),
    } satisfies Setting<string, string | undefined>;
  },

  record<V, Out>(o: {
    default: Readonly<Record<string, V>>;
    says: string;
    allowed: string;
    parse: (value: unknown, option: string) => Out;
  }) {
    return { kind: "record" as const, ...o, default: o.default as Readonly<Record<string, V>> | undefined };
  },
};

/** A sentence or a name for people. */
export const textSetting = (max: number, says: string) =>
  setting.text({
    default: undefined,
    allowed: `1 to ${max} characters of text without control characters`,
    says,
    parse: (value, option) => plainText(value, option, max),
  });

/**
 * Check what a user gave against a table of settings and fill in the defaults; the result is frozen.
 * @throws OPTION_INVALID for an unknown option (with the list of those there are) or a value that is not allowed
 */
export function resolve<S extends Settings>(settings: S, given: Given<S> | undefined, owner: string): Resolved<S> {
  const options = plainOptions(settings, given, owner);
  const resolved: Record<string, unknown> = {};
  for (const [name, one] of Object.entries(settings)) {
    const value = options[name] === undefined ? one.default : options[name];
    resolved[resolvedName(name, one)] = value === undefined ? undefined : one.parse(value, `${owner}.${name}`);
  }
  return Object.freeze(resolved) as Resolved<S>;
}

/** The same check for what was given alone: no defaults are filled in. */
export function resolveGiven<S extends Settings>(
  settings: S,
  given: Given<S> | undefined,
  owner: string,
): Partial<Resolved<S>> {
  const resolved: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(plainOptions(settings, given, owner))) {
    if (value === undefined) continue;
    const one = settings[name]!;
    resolved[resolvedName(name, one)] = one.parse(value, `${owner}.${name}`);
  }
  return resolved as Partial<Resolved<S>>;
}

const resolvedName = (name: string, one: Setting<unknown, unknown>) => (one.kind === "duration" ? `${name}Ms` : name);

function plainOptions(settings: Settings, given: unknown, owner: string): Record<string, unknown> {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw invalidOption(owner, `must be an object, got ${shown(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(settings, name)) {
      throw invalidOption(
        `${owner}.${name.slice(0, 64)}`,
        `is not an option; there are ${Object.keys(settings).join(", ")}`,
      );
    }
  }
  return given as Record<string, unknown>;
}
