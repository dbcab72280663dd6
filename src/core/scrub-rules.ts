/**
 * What of a text is a secret. Each rule takes time in proportion to the text, whatever the text is: a run without a bound
 * is the last thing that a pattern asks for, or cannot begin inside of another.
 */

export type Rule = (text: string) => string;

export const secret = "[secret]";

/** What prose does not have: a digit, upper case inside a word, or an endless word. */
const looksRandom = (text: string) => text.length >= 6 && (/\d|[a-z][A-Z]/.test(text) || text.length >= 24);

const privateKeys: Rule = (text) =>
  text.replaceAll(/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g, secret);

/** Of `scheme://user:password@host` all that is before the host; a password may hold slashes and at signs. */
const urls: Rule = (text) =>
  text.includes("://") && text.includes("@") ? text.replaceAll(/[^\s"'`<>]+/g, withoutUserInfo) : text;

function withoutUserInfo(word: string): string {
  const [scheme, ...rest] = word.split("://");
  // What follows the first colon is no password where it is a port, or the rest of an IPv6 address.
  const clean = rest.map((part) => part.replace(/^(?:[^/?#:@[]*:(?!\d{1,5}(?:[/?#]|$)).*@|[^/?#@]*@)/, `${secret}@`));
  return [scheme, ...clean].join("://");
}

/** `user:password@host` and `user:password@tcp(host)`; Oracle's `thin:user/password@host`. */
const logins: Rule = (text) =>
  text.includes("@")
    ? text
        .replaceAll(/(?<=\bthin:)[^\s/@]{1,128}\/[^\s@]{1,128}@/g, `${secret}@`)
        .replaceAll(
          /(?<![\w.%+-])(?!(?:npm|jsr|workspace|mailto|acct|sip):)[\w.%+-]+:[^\s:@/"'`<>[\]]+@(?=[A-Za-z[])/g,
          `${secret}@`,
        )
    : text;

/** Tokens that say what they are by how they begin, in no longer word. */
const tokens = new RegExp(
  [
    "eyJ[\\w-]{10,}(?:\\.[\\w-]*){0,4}", // JSON Web Tokens
    "A(?:KI|SI|GP|ID|RO|NP|NV|IP|BI|CC)A[A-Z0-9]{16}(?![A-Za-z0-9])", // AWS
    "(?:AIza[\\w-]{30,}|ya29\\.[\\w-]{10,}|GOCSPX-[\\w-]{20,})", // Google
    "(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\\w{20,}|glpat-[\\w-]{20,}|npm_[A-Za-z0-9]{36}|pypi-Ag[\\w-]{20,})",
    "(?:xox[a-z]|xapp)-[\\w-]{10,}", // Slack
    "(?:(?:sk|pk|rk)_(?:live|test)_|whsec_)\\w{10,}", // Stripe
    "(?:shp(?:at|ca|pa|ss)_|do[opr]_v1_)\\w{20,}", // Shopify, DigitalOcean
    "(?:SG\\.|hv[sbr]\\.)[\\w-]{20,}(?:\\.[\\w-]*)?", // SendGrid, Vault
    "sk-(?=[\\w-]{0,48}\\d)[\\w-]{20,}", // vendors of models
    "hf_[A-Za-z0-9]{30,}",
    "AGE-SECRET-KEY-1[A-Z0-9]{20,}",
    "\\d{8,10}:AA[\\w-]{30,}", // Telegram
  ]
    .map((pattern) => `(?<![A-Za-z0-9])${pattern}`)
    // Addresses that let anybody who knows them write.
    .concat("(?<=hooks\\.slack\\.com/services/|discord(?:app)?\\.com/api/webhooks/)[\\w/-]{8,}")
    .join("|"),
  "g",
);
const knownTokens: Rule = (text) => text.replaceAll(tokens, secret);

const schemes: Rule = (text) =>
  text.replaceAll(/\b(bearer|basic|digest|negotiate|apikey)( +)([\w.~+/=-]{6,})/gi, (all, scheme, space, value) =>
    looksRandom(value) ? `${scheme}${space}${secret}` : all,
  );

/** What secrets are called, whole or as the end of a name: `DB_PASSWORD`, `clientSecret`, `x-api-key`. */
const names =
  "passwords?|passwd|passphrase|secrets?|tokens?|credentials?" +
  "|(?:api|access|account|secret|private|signing|encryption|auth|shared|master)[ _-]?keys?" +
  "|authorization|jwt|signature|session_?id|(?<![A-Za-z])(?:pass|pwd|pw|auth|sig|otp|pin|cvv|cvc|sid)";
const between = "\\\\?[\"'`]?[)\\]]?[ \\t]{0,3}(?:=>?|:)[ \\t]{0,3}";
// Quoted, with escapes; quoted inside of what is quoted; bare. None asks for an end: the text may be cut there.
const value =
  "b?\"(?:[^\"\\\\\\n]|\\\\.)*\"?|b?'(?:[^'\\\\\\n]|\\\\.)*'?|`[^`\\n]*`?|\\\\\"[^\"\\\\\\n]*|\\\\'[^'\\\\\\n]*" +
  "|(?:(?:bearer|basic|digest|token|negotiate|apikey) +)?[^\\s;&\"'`<>]+";
const pair = new RegExp(`(${names})(${between})(${value})`, "gi");

/** `name=value`, `name: value`, JSON, query strings, settings of connections. */
const pairs: Rule = (text) =>
  text.replaceAll(pair, (all: string, name: string, sign: string, found: string, at: number) => {
    if (isHarmless(name, sign, found, text.charAt(at + all.length))) return all;
    const quote = /^b?\\?["'`]/.exec(found)?.[0] ?? "";
    // What closes stays, so that JSON and calls can still be read.
    const end =
      quote === ""
        ? /[,)}\]]{0,4}$/.exec(found.replace(secret, ""))![0]
        : found.length > quote.length && found.endsWith(quote.at(-1)!)
          ? quote.at(-1)!
          : "";
    return `${name}${sign}${quote}${secret}${end}`;
  });

/** Said of a password or a token: not the thing itself. */
const said =
  /^(?:undefined|null|nil|none|true|false|required|missing|invalid|expired|incorrect|wrong|empty|not|must|is|was|has|should|cannot|can|too|no|the|a|an|in|at|of|or|and|for|to|from|unexpected|expected|bad|malformed|rejected|denied|revoked|fail(?:ed|ure)?|error|unknown|string|number|object|function|boolean|\*+|\[\w{1,16})$/i;

function isHarmless(name: string, sign: string, found: string, next: string): boolean {
  const bare = found.replaceAll(/^b?\\?["'`]|["'`,.;:)}\]]+$/g, "");
  if (said.test(bare) || /^[([{<]*$/.test(bare)) return true;
  // How many tokens there were, or tests that pass.
  if (/^(?:tokens|keys|pass)$/i.test(name) && /^\d{1,9}$/.test(bare) && !(/^pass$/i.test(name) && bare.length > 3)) {
    return true;
  }
  // `password: …` may be a sentence, and so may `Unexpected token: …`.
  const isSentence = /:[ \t]+$/.test(sign) && !/^b?\\?["'`]/.test(found);
  if (!isSentence || looksRandom(bare)) return false;
  if (/^authorization$/i.test(name) && found.includes(" ")) return false;
  if (/^(?:pin|otp|cv[vc])$/i.test(name) && /^\d{3,}$/.test(bare)) return false;
  const isLast = next === "" || /[\n,;}]/.test(next) || /[,;}]$/.test(found);
  return !/^(?:pass|pwd|pw)/i.test(name) || !isLast;
}

const cookies: Rule = (text) =>
  text.replaceAll(
    /\b((?:set-)?cookie["']?[ \t]{0,3}[:=][ \t]{0,3}["'[]{0,2})[^\s"'=]{1,128}=[^\r\n"']*/gi,
    `$1${secret}`,
  );

const flag = new RegExp(`(?<![\\w-])(--[A-Za-z-]{0,32}?(?:${names}) +["']?)([^\\s"'<[-][^\\s"']*)`, "gi");
const element = new RegExp(`(<[\\w:.-]{0,40}?(?:${names})>)[^<\\s][^<]*`, "gi");
/** `--password hunter2`, `-u user:password`; SQL's `PASSWORD 'hunter2'`; `<password>hunter2</password>`. */
const words: Rule = (text) =>
  text
    .replaceAll(flag, (all, name, given) => (said.test(given) ? all : `${name}${secret}`))
    .replaceAll(/(?<![\w-])((?:-u|--user) +["']?[^\s:"']{1,128}:)[^\s"']+/g, `$1${secret}`)
    .replaceAll(/\b(password +|identified +by +)'(?:[^'\\\n]|\\.)*'?/gi, `$1'${secret}'`)
    .replaceAll(element, `$1${secret}`);

const card = /(?<![\w.+-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|\d{4}([ -]?)\d{6}\2\d{4,5}|62\d{15,17})(?!\w|[.-]\d)/g;
/** By how they begin and how long they are: Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay. */
const issued =
  /^(?:4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17})$/;
const cards: Rule = (text) =>
  text.replaceAll(card, (digits) => {
    const plain = digits.replaceAll(/[ -]/g, "");
    return issued.test(plain) && passesLuhn(plain) ? "[card]" : digits;
  });

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let n = 0; n < digits.length; n++) {
    const digit = Number(digits.charAt(digits.length - 1 - n));
    sum += n % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

// A package with its version (vite@5.0.0-beta.one) looks nearly like it.
const emails: Rule = (text) =>
  text.includes("@")
    ? text.replaceAll(
        /(?<![\p{L}\p{N}_.%+-])[\p{L}\p{N}_.%+-]+@(?!\d{1,6}\.\d)(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}(?![\p{L}\p{N}_-])/gu,
        "[email]",
      )
    : text;

/** In this order: what one takes away would mislead the next. */
export const builtIn: readonly Rule[] = [
  privateKeys,
  urls,
  cookies,
  pairs,
  words,
  schemes,
  knownTokens,
  logins,
  cards,
  emails,
];
