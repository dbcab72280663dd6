import { invalidOption } from "../core/errors.js";
import type { Fingerprint } from "../core/fingerprint.js";
import { plainText } from "../core/names.js";
import { scrub } from "../core/scrub.js";
import { type Given, resolve, setting } from "../core/settings.js";
import { type ByOptions, bySettings } from "../inspector/options.js";
import type { Desk } from "./desk.js";
import { type GroupState, maxNotes, maxResolutions, statesIn, untouched } from "./group-state.js";
import { type FailureGroup, fingerprintIn, group } from "./groups.js";
import { recorded } from "./recorded.js";

const maxTextChars = 4_000;
const words = (says: string) =>
  setting.text({
    default: undefined,
    allowed: `1 to ${maxTextChars} characters of text`,
    says,
    parse: textIn,
  });

export const resolveSettings = {
  ...bySettings,
  cause: words("what was wrong"),
  fix: words("what was done about it"),
  lesson: words("what to keep in mind when it comes again"),
};
export type ResolveOptions = Given<typeof resolveSettings>;

export const snoozeSettings = {
  ...bySettings,
  for: setting.duration({ default: "1d", min: "1m", max: "365d", says: "how long it is not to be looked at" }),
};
export type SnoozeOptions = Given<typeof snoozeSettings>;

/** Lines are kept; a secret that slipped in is not. */
function textIn(value: unknown, option: string): string {
  const lines = typeof value === "string" ? value.trim().split("\n") : [value];
  const checked = lines.map((line) => (line === "" ? "" : plainText(line, option, maxTextChars))).join("\n");
  if (checked === "" || checked.length > maxTextChars)
    throw invalidOption(option, `must be 1 to ${maxTextChars} characters of text`);
  return scrub(checked, maxTextChars);
}

export async function noteGroup(desk: Desk, given: string, text: string, by: ByOptions | undefined) {
  const note = textIn(text, "noteGroup.text");
  return change(desk, given, "note", by, (state, { atMs, actor }) => ({
    ...state,
    notes: [...state.notes, { atMs, actor, text: note }].slice(-maxNotes),
  }));
}

export async function acknowledgeGroup(desk: Desk, given: string, by: ByOptions | undefined) {
  return change(desk, given, "ack", by, setTo("acknowledged"));
}

export async function reopenGroup(desk: Desk, given: string, by: ByOptions | undefined) {
  return change(desk, given, "reopen", by, setTo("open"));
}

export async function snoozeGroup(desk: Desk, given: string, options: SnoozeOptions | undefined) {
  const { forMs, ...by } = resolve(snoozeSettings, options, "snoozeGroup");
  return change(desk, given, "snooze", by, (state, said) => ({
    ...setTo("snoozed")(state, said),
    untilMs: said.atMs + forMs,
  }));
}

/** Its cause is known and gone: what is seen of it from now on is a regression. */
export async function resolveGroup(desk: Desk, given: string, options: ResolveOptions | undefined) {
  const { cause, fix, lesson, ...by } = resolve(resolveSettings, options, "resolveGroup");
  if (cause === undefined)
    throw invalidOption("resolveGroup.cause", "must say what was wrong: whoever sees it again wants to know");
  return change(desk, given, "resolve", by, (state, said) => ({
    ...setTo("resolved")(state, said),
    resolutions: [...state.resolutions, { ...said, cause, fix, lesson }].slice(-maxResolutions),
  }));
}

interface Said {
  readonly atMs: number;
  readonly actor: string;
}

const setTo =
  (set: GroupState["set"]) =>
  (state: GroupState, { atMs, actor }: Said): GroupState => ({
    ...state,
    set,
    setAtMs: atMs,
    setBy: actor,
    untilMs: undefined,
  });

/** Two who write at once both get through: who comes second reads what the first has written. */
const tries = 10;

async function change(
  desk: Desk,
  given: string,
  verb: string,
  by: ByOptions | undefined,
  make: (state: GroupState, said: Said) => GroupState,
): Promise<FailureGroup> {
  const fingerprint: Fingerprint = fingerprintIn(given, `${verb}.fingerprint`);
  const act = desk.act(by, verb);
  const known = await group(desk, fingerprint);
  const { firstSeenAtMs, lastSeenAtMs, types, sample } = known;
  const nowMs = desk.nowMs();
  const record = { ...act, verb: `group ${verb}`, what: JSON.stringify({ group: fingerprint }), count: known.count };
  await recorded(desk, record, async () => {
    for (let tried = 1; ; tried += 1) {
      const documents = await desk.store.readDocuments("group", [fingerprint]);
      const state = statesIn(documents).get(fingerprint) ?? untouched;
      const next = make(state, { atMs: nowMs, actor: act.actor });
      const value = { ...next, firstSeenAtMs, lastSeenAtMs, types, sample };
      const [receipt] = await desk.store.writeDocuments(
        "group",
        [{ id: fingerprint, value, ifVersion: documents[0]?.version ?? 0 }],
        nowMs,
      );
      if (receipt?.status === "written") return;
      if (receipt?.status === "full")
        throw invalidOption("group", "there are so many groups of which something was said that no new one is taken");
      if (tried === tries) throw invalidOption("group", "others changed it all the time: try again");
    }
  });
  return group(desk, fingerprint);
}
