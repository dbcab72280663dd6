import { invalidOption, shown } from "../core/errors.js";
import { maxUrlChars } from "../core/outcome.js";

const places = ["id", "queue", "type", "attempt", "host", "build", "traceId", "startedAt", "endedAt"] as const;
type Place = (typeof places)[number];

export const logLinkSays = `where the log of an attempt is, stored with its failure: a URL with any of ${places.map((place) => `{${place}}`).join(", ")}`;

/** A worker's option. @throws OPTION_INVALID */
export function logLink(given: unknown, option: string): string {
  if (typeof given !== "string" || given.length > maxUrlChars || !/^https?:\/\/[^\s{]/.test(given)) {
    throw invalidOption(
      option,
      `must be a URL of http or https, at most ${maxUrlChars} characters, got ${shown(given)}`,
    );
  }
  const known: readonly string[] = places;
  const unknown = given.match(/\{[^{}]*\}/g)?.find((place) => !known.includes(place.slice(1, -1)));
  if (unknown !== undefined) {
    throw invalidOption(option, `knows no ${shown(unknown)}; there are ${places.map((one) => `{${one}}`).join(", ")}`);
  }
  return given;
}

/** The link of one attempt; `undefined` where it would be too long to be stored. */
export function linkOf(template: string, values: Readonly<Record<Place, string>>): string | undefined {
  const link = template.replaceAll(/\{(\w+)\}/g, (_, place: Place) => encodeURIComponent(values[place].toWellFormed()));
  return link.length > maxUrlChars ? undefined : link;
}
