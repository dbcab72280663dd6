import { invalidOption, shown } from "../core/errors.js";
import { plainText } from "../core/names.js";
import { type Given, resolve, setting } from "../core/settings.js";
import {
  entriesOf,
  type Criticality,
  criticalities,
  type GivenRules,
  parseRules,
  type Scopes,
} from "./alerts/rule-settings.js";
import { type Channel, type GivenChannel, parseChannels } from "./delivery/channels.js";

/** What a monitor is told, as in its JSON file. Every field may be left out. */
export interface MonitorConfig extends Given<typeof monitorSettings> {
  /** For all queues, by the rule's name. */
  readonly rules?: GivenRules;
  /** For one queue, by its name: what differs there. */
  readonly queues?: Readonly<Record<string, GivenRules>>;
  /** By a task's type. */
  readonly types?: Readonly<Record<string, { readonly criticality: Criticality }>>;
  /** Who is told. */
  readonly channels?: readonly GivenChannel[];
}

export const monitorSettings = {
  environment: setting.text({
    default: "default",
    allowed: "1 to 64 characters of text",
    says: 'what these queues are called where several are told of, as in "production"',
    parse: (value, option) => plainText(value, option, 64),
  }),
  pollEvery: setting.duration({
    default: "5s",
    min: "50ms",
    max: "5m",
    says: "how often storage is looked at; all scrapes of /metrics share a look",
  }),
  repeatEvery: setting.duration({ default: "4h", min: "1s", says: "how often what still fires is told again" }),
  retryAfter: setting.duration({
    default: "5s",
    min: "1ms",
    max: "10m",
    says: "pause before the second of five attempts to deliver; each further one is five times as long",
  }),
  keepResolved: setting.duration({ default: "24h", max: "30d", says: "how long alerts that are over are listed" }),
  metricQueues: setting.integer({
    default: 200,
    min: 1,
    max: 10_000,
    says: "queues that /metrics tells apart, those with most to do; the rest are summed up as the queue other",
  }),
  metricTypes: setting.integer({
    default: 100,
    min: 1,
    max: 10_000,
    says: "types that /metrics tells apart, those with most attempts; the rest are summed up as the type other",
  }),
  runbooks: setting.text({
    default: undefined,
    allowed: "a URL",
    says: "where your copy of docs/operate/alerts is: the rule's name and .md follow",
    parse: (value, option) => plainUrl(value, option),
  }),
  dashboard: setting.text({
    default: undefined,
    allowed: "a URL",
    says: "a page that every notification links to",
    parse: (value, option) => plainUrl(value, option),
  }),
};

export interface ResolvedMonitorConfig extends Scopes {
  readonly environment: string;
  readonly pollEveryMs: number;
  readonly repeatEveryMs: number;
  readonly retryAfterMs: number;
  readonly keepResolvedMs: number;
  readonly metricQueues: number;
  readonly metricTypes: number;
  readonly runbooks: string | undefined;
  readonly dashboard: string | undefined;
  readonly channels: readonly Channel[];
}

const owner = "monitor";

/** Checked, with what is usual filled in. @throws OPTION_INVALID that names the field, what came and what is allowed */
export function resolveMonitorConfig(given: MonitorConfig = {}): ResolvedMonitorConfig {
  const { rules, queues, types, channels, ...rest } = Object.fromEntries(entriesOf(given, owner)) as MonitorConfig;
  requireKnown(rest);
  return {
    ...resolve(monitorSettings, rest, owner),
    rules: parseRules(rules, `${owner}.rules`),
    queues: new Map(
      entriesOf(queues, `${owner}.queues`).map(([name, one]) => [name, parseRules(one, `${owner}.queues.${name}`)]),
    ),
    criticality: new Map(
      entriesOf(types, `${owner}.types`).map(([type, one]) => {
        const at = `${owner}.types.${type}`;
        const { criticality } = resolve(typeSettings, one as object, at);
        return [type, criticality];
      }),
    ),
    channels: parseChannels(channels, `${owner}.channels`),
  };
}

const typeSettings = {
  criticality: setting.choice({ of: criticalities, default: "normal", says: "how much depends on it" }),
};

/** The list of what there is would lack what is not a plain setting. */
function requireKnown(rest: object): void {
  const unknown = Object.keys(rest).find((name) => !Object.hasOwn(monitorSettings, name));
  if (unknown === undefined) return;
  const all = [...Object.keys(monitorSettings), "rules", "queues", "types", "channels"];
  throw invalidOption(`${owner}.${unknown.slice(0, 64)}`, `is not an option; there are ${all.join(", ")}`);
}

function plainUrl(value: unknown, option: string): string {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "")
    throw invalidOption(option, `must be an http or https URL without a password, got ${shown(value)}`);
  return (value as string).replace(/\/+$/, "");
}
