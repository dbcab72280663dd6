import { invalidOption, shown } from "../../core/errors.js";
import { type Given, resolve, setting, textSetting } from "../../core/settings.js";
import { severities, type Severity } from "../alerts/severity.js";

/** Where notifications go, as one writes it. A secret is better in a file, which is read anew for every delivery. */
export type GivenChannel =
  | ({ readonly kind: "webhook" } & Given<typeof webhookSettings>)
  | ({ readonly kind: "mail"; readonly to: readonly string[] } & Given<typeof mailSettings>);

interface AnyChannel {
  /** Of its own: notifications that wait are kept by it. */
  readonly name: string;
  /** What is less bad than this is not told here. */
  readonly from: Severity;
}

export interface WebhookChannel extends AnyChannel {
  readonly kind: "webhook";
  readonly url: string;
  readonly format: "json" | "slack";
  readonly secret: string | undefined;
  readonly secretFile: string | undefined;
}

export interface MailChannel extends AnyChannel {
  readonly kind: "mail";
  /** "smtp://user@host:587": with STARTTLS; "smtps://…": TLS from the start. */
  readonly server: string;
  readonly plain: boolean;
  readonly password: string | undefined;
  readonly passwordFile: string | undefined;
  readonly sender: string;
  readonly to: readonly string[];
}

export type Channel = WebhookChannel | MailChannel;

/** What is wrong with it is told without it. */
const secret = {
  allowed: "1 to 1024 characters of text, on one line",
  parse(value: unknown, option: string): string {
    if (typeof value === "string" && /^[^\p{Cc}]{1,1024}$/u.test(value)) return value;
    throw invalidOption(option, `must be ${secret.allowed}`);
  },
};
const address = {
  allowed: "an e-mail address",
  parse(value: unknown, option: string): string {
    if (typeof value === "string" && /^[^\s@<>,;]{1,64}@[^\s@<>,;]{1,190}$/.test(value)) return value;
    throw invalidOption(option, `must be an e-mail address, got ${shown(value)}`);
  },
};

const common = {
  name: textSetting(64, "its own name, as in the log; the kind unless given"),
  from: setting.choice({ of: severities, default: "warning", says: "what is less bad is not told here" }),
};

export const webhookSettings = {
  ...common,
  url: setting.text({
    default: undefined,
    allowed: "an http or https URL",
    says: "where to POST; link-local and metadata addresses are refused, and no redirect is followed",
    parse: (value, option) => urlWith(/^https?:$/, value, option),
  }),
  format: setting.choice({ of: ["json", "slack"], default: "json", says: "what is sent: our own JSON, or Slack's" }),
  secret: setting.text({ default: undefined, says: "signs what is sent (HMAC-SHA256)", ...secret }),
  secretFile: textSetting(4_096, "a file with the secret"),
};

export const mailSettings = {
  ...common,
  server: setting.text({
    default: undefined,
    allowed: "an smtp or smtps URL",
    says: '"smtp://user@host:587" demands STARTTLS, "smtps://host" is TLS from the start',
    parse: (value, option) => urlWith(/^smtps?:$/, value, option),
  }),
  plain: setting.flag({ default: false, says: "whether smtp: may do without TLS, as to a relay on this machine" }),
  password: setting.text({ default: undefined, says: "of the user in the URL", ...secret }),
  passwordFile: textSetting(4_096, "a file with the password"),
  sender: setting.text({ default: undefined, says: "the address that it is sent from", ...address }),
};

const maxChannels = 20;

/** @throws OPTION_INVALID that names the field */
export function parseChannels(given: unknown, at: string): readonly Channel[] {
  if (given === undefined) return [];
  if (!Array.isArray(given) || given.length > maxChannels)
    throw invalidOption(at, `must be a list of at most ${maxChannels} channels, got ${shown(given)}`);
  const channels = given.map((one: unknown, n) => parseChannel(one, `${at}[${n}]`));
  const twice = channels.find(({ name }, n) => channels.findIndex((other) => other.name === name) < n);
  if (twice !== undefined)
    throw invalidOption(at, `two channels have the name ${shown(twice.name)}: give each its own`);
  return channels;
}

function parseChannel(given: unknown, at: string): Channel {
  if (typeof given !== "object" || given === null) throw invalidOption(at, `must be an object, got ${shown(given)}`);
  const { kind, to, ...rest } = given as { kind?: unknown; to?: unknown };
  if (kind === "webhook") {
    if (to !== undefined) throw invalidOption(`${at}.to`, 'is only for kind "mail"');
    const { name = kind, url, ...channel } = resolve(webhookSettings, rest, at);
    return { ...channel, kind, name, url: required(url, `${at}.url`) };
  }
  if (kind === "mail") {
    const { name = kind, server, sender, ...channel } = resolve(mailSettings, rest, at);
    if (!Array.isArray(to) || to.length === 0 || to.length > 50)
      throw invalidOption(`${at}.to`, `must be a list of 1 to 50 e-mail addresses, got ${shown(to)}`);
    return {
      ...channel,
      kind,
      name,
      server: required(server, `${at}.server`),
      sender: required(sender, `${at}.sender`),
      to: to.map((one: unknown, n) => address.parse(one, `${at}.to[${n}]`)),
    };
  }
  throw invalidOption(`${at}.kind`, `must be one of "webhook", "mail", got ${shown(kind)}`);
}

function required(value: string | undefined, option: string): string {
  if (value === undefined) throw invalidOption(option, "must be given");
  return value;
}

/** Its value is not told: it may hold a token. */
function urlWith(protocol: RegExp, value: unknown, option: string): string {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !protocol.test(url.protocol) || url.password !== "" || url.hostname === "")
    throw invalidOption(
      option,
      `must be a URL that begins with ${protocol.test("https:") ? "http:// or https://" : "smtp:// or smtps://"}, and holds no password`,
    );
  return value as string;
}
