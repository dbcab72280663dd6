import { Asked } from "./asked.js";
import type { LinkSettings } from "./link-options.js";

/** The settings of a link as they can be sent to a thread, which takes no functions. */
export interface SentSettings {
  readonly settings: Readonly<Record<string, unknown>>;
  /** What is to be asked for, and what was answered last. */
  readonly asked: Readonly<Record<string, unknown>>;
}

/** The answer to a thread that asked for one of them. */
export type SentAnswer = { readonly asked: string } & ({ readonly value: unknown } | { readonly problem: string });

export function toSend(settings: LinkSettings): SentSettings {
  const [asked, fixed] = [[], []] as [[string, unknown][], [string, unknown][]];
  for (const [name, value] of Object.entries(settings)) {
    if (value instanceof Asked) asked.push([name, value.known]);
    else fixed.push([name, value]);
  }
  return { settings: Object.fromEntries(fixed), asked: Object.fromEntries(asked) };
}

/** What the user's function answers, for a thread. Never rejects. */
export async function answerFor(settings: LinkSettings, asked: string, withinMs: number): Promise<SentAnswer> {
  const source = (settings as Readonly<Record<string, unknown>>)[asked];
  const value = source instanceof Asked ? await source.value(withinMs) : source;
  return value instanceof Error ? { asked, problem: value.message } : { asked, value };
}

/** In the thread: the settings, with `ask` in place of the user's functions; the other side has checked the answers. */
export function received({ settings, asked }: SentSettings, ask: (name: string) => Promise<unknown>): LinkSettings {
  const sources = Object.entries(asked).map(([name, known]) => [
    name,
    new Asked<unknown>(
      name,
      () => ask(name),
      (value) => value,
      known,
    ),
  ]);
  return { ...settings, ...Object.fromEntries(sources) } as LinkSettings;
}
