import { maxDocuments } from "../../broker/documents.js";
import {
  everyQueue,
  type GrowthPolicy,
  overflows,
  policiesIn,
  type StoredPolicies,
} from "../../broker/growth-policy.js";
import { counted } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { storedName } from "../../core/names.js";
import { type Given, resolve, setting } from "../../core/settings.js";
import type { ByOptions } from "../../inspector/options.js";
import { type Desk, failed } from "../desk.js";
import { recorded } from "../recorded.js";

const policySettings = {
  queue: setting.text({
    default: undefined,
    allowed: 'a queue\'s name, or "*"',
    says: 'the queue; "*": all that have no policy of their own',
    parse: queueNamed,
  }),
  type: setting.text({
    default: undefined,
    allowed: "a type's name",
    says: "for dead letters of this type alone, which the queue's own policy then leaves out",
    parse: storedName,
  }),
  keepFor: setting.duration({ default: undefined, min: "1s", says: "older dead letters are past the bound" }),
  keepMost: setting.integer({ default: undefined, says: "the oldest beyond so many are past the bound" }),
  overflow: setting.choice({
    of: overflows,
    default: "refuse",
    says: "what becomes of those past a bound: nothing, but headroom is 0 and alerts fire (refuse); into a file, then out of storage (spill); deleted, counted and recorded (drop)",
  }),
};
export interface PolicyOptions extends Given<typeof policySettings> {
  readonly queue: string;
}

/** A policy and what it is for. */
export interface Policy extends GrowthPolicy {
  /** "*": all queues that have none of their own. */
  readonly queue: string;
  readonly type: string | undefined;
}

/** Documents have names of at most so many characters. */
function queueNamed(value: unknown, option: string): string {
  const name = value === everyQueue ? everyQueue : storedName(value, option);
  if (name.length <= 200) return name;
  throw invalidOption(option, "must have at most 200 characters");
}

/** By queue, then type. */
export async function listPolicies({ store }: Desk): Promise<Policy[]> {
  const all = policiesIn(await store.readDocuments("policy"));
  return Array.from(all).flatMap(([queue, { own, types }]) => [
    ...(own === undefined ? [] : [{ queue, type: undefined, ...own }]),
    ...Array.from(types, ([type, policy]) => ({ queue, type, ...policy })).toSorted((a, b) =>
      a.type < b.type ? -1 : 1,
    ),
  ]);
}

/** Instead of what there was for this queue, or this type in it. */
export async function setPolicy(desk: Desk, options: PolicyOptions, by: ByOptions | undefined): Promise<Policy> {
  const { queue, type, keepForMs, keepMost, overflow } = resolve(policySettings, options, "policy");
  const name = queueNamed(queue, "policy.queue");
  if (keepForMs === undefined && keepMost === undefined)
    throw invalidOption("policy.keepFor", "or keepMost is needed: a policy without a bound does nothing");
  const act = desk.act(by, "policy");
  const setAtMs = desk.nowMs();
  const policy = { keepForMs, keepMost, overflow, actor: act.actor, reason: act.reason, setAtMs };
  const what = JSON.stringify({ queue: name, type, keepForMs, keepMost, overflow });
  await recorded(desk, { ...act, verb: "policy set", what, count: 0 }, () =>
    change(desk, name, ({ own, types }) =>
      type === undefined
        ? { own: policy, types: Object.fromEntries(types) }
        : { ...(own === undefined ? {} : { own }), types: Object.fromEntries([...types, [type, policy]]) },
    ),
  );
  return { queue: name, type, ...policy };
}

/** Answers whether there was one. */
export async function removePolicy(
  desk: Desk,
  options: Pick<PolicyOptions, "queue" | "type">,
  by: ByOptions | undefined,
): Promise<boolean> {
  const { queue, type } = resolve(policySettings, options, "policy");
  const name = queueNamed(queue, "policy.queue");
  const act = desk.act(by, "policy");
  const there = (await listPolicies(desk)).some((one) => one.queue === name && one.type === type);
  if (!there) return false;
  const what = JSON.stringify({ queue: name, type });
  await recorded(desk, { ...act, verb: "policy rm", what, count: 0 }, () =>
    change(desk, name, ({ own, types }) => ({
      ...(own === undefined || type === undefined ? {} : { own }),
      types: Object.fromEntries([...types].filter(([one]) => one !== type)),
    })),
  );
  return true;
}

/** Others may change the same document: then again, from what they made of it. */
async function change(
  desk: Desk,
  queue: string,
  next: (now: { own: GrowthPolicy | undefined; types: ReadonlyMap<string, GrowthPolicy> }) => StoredPolicies,
): Promise<void> {
  const { store, nowMs } = desk;
  for (;;) {
    const [found] = await store.readDocuments("policy", [queue]);
    const now = policiesIn(found === undefined ? [] : [found]).get(queue) ?? { own: undefined, types: new Map() };
    const value = next(now);
    const isEmpty = value.own === undefined && Object.keys(value.types ?? {}).length === 0;
    const write = { id: queue, value: isEmpty ? undefined : value, ifVersion: found?.version ?? 0 };
    const [receipt] = await store.writeDocuments("policy", [write], nowMs());
    if (receipt?.status === "written") return;
    if (receipt?.status === "full")
      throw failed(desk, `there are ${counted(maxDocuments, "policy", "policies")} already`);
  }
}
