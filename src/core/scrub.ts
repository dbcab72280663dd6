import { invalidOption, shown } from "./errors.js";
import { builtIn, type Rule, secret } from "./scrub-rules.js";

/**
 * What else is to go from the texts of failures: a pattern, whose matches become `[secret]`, or a function from text to
 * text. It gets what the built-in rules have left, at most 16,384 characters.
 */
export type ScrubRule = RegExp | ((text: string) => string);

/** At most `maxChars` of a text, without its secrets. Never throws. */
export type Scrubber = (text: string, maxChars: number) => string;

/** The built-in rules and then these. Where one of these fails the text is withheld: it may hold what the rule was for. */
export function scrubberOf(rules: readonly ScrubRule[]): Scrubber {
  const extra = rules.map(ruleOf);
  return (text, maxChars) => {
    // Twice of what is kept: nobody would know the half of a secret that the end has cut in two.
    let clean = wholeWords(text, 2 * maxChars);
    for (const rule of builtIn) clean = rule(clean);
    for (const [n, rule] of extra.entries()) {
      try {
        clean = rule(clean);
      } catch {
        return `[withheld: scrub rule ${n + 1} failed]`.slice(0, maxChars);
      }
    }
    return clean.slice(0, maxChars);
  };
}

/**
 * Secrets out of a text of any origin: passwords in URLs and connection strings, values of what is called like a secret,
 * private keys, tokens of known vendors, card numbers and e-mail addresses. Takes time in proportion to the text; done
 * twice it is as if done once.
 */
export const scrub: Scrubber = scrubberOf([]);

function ruleOf(rule: ScrubRule): Rule {
  if (typeof rule !== "function") {
    const everywhere = new RegExp(rule.source, rule.flags.replace(/[gy]|$/, "g"));
    return (text) => text.replaceAll(everywhere, secret);
  }
  return (text) => {
    const clean: unknown = rule(text);
    if (typeof clean !== "string") throw new TypeError("a rule answers a text");
    return clean;
  };
}

/** The word that the end cuts in two is left out, unless it is a very long one; and digits, which may go on. */
function wholeWords(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const end = Math.max(text.lastIndexOf(" ", maxChars), text.lastIndexOf("\n", maxChars));
  return text.slice(0, end > maxChars - 512 ? end : maxChars).replace(/[\d -]{1,32}$/, "");
}

/** A worker's option. @throws OPTION_INVALID */
export function scrubRules(given: unknown, option: string): Scrubber {
  if (!Array.isArray(given) || given.length > 100) {
    throw invalidOption(option, `must be an array of at most 100 rules, got ${shown(given)}`);
  }
  for (const rule of given as unknown[]) {
    if (!(rule instanceof RegExp) && typeof rule !== "function") {
      throw invalidOption(option, `must hold patterns (RegExp) and functions, got ${shown(rule)}`);
    }
  }
  return scrubberOf(given as ScrubRule[]);
}
