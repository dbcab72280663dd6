import type { Event } from "../../history/events.js";
import type { Holds } from "./row.js";

/** What rows ask for besides what holds of all of them. Each answers what is wrong, in words. */

type Of<E extends Event["e"]> = Extract<Event, { readonly e: E }>;
const all = <E extends Event["e"]>(events: readonly Event[], e: E) =>
  events.filter((event): event is Of<E> => event.e === e);

/** Callers are told that their spool is full: that none of what was accepted is dropped is `lost`. */
export const fullSpoolIsTold: Holds = (events, { fromMs, untilMs }) =>
  all(events, "rejected").some(({ code, at }) => code === "SPOOL_FULL" && at >= fromMs && at < untilMs)
    ? []
    : ["no call was told SPOOL_FULL"];

/** In place of each connection that was lost fewer than that are tried a second. */
export const connectsPerSecond =
  (most: number): Holds =>
  (events, { fromMs, untilMs }) => {
    const counted = all(events, "connects").filter(({ at }) => at >= fromMs && at < untilMs);
    if (counted.length === 0) return ["nobody has counted connections"];
    const rates = counted.map(({ count, inPlaceOf, withinMs }) => (count * 1_000) / withinMs / inPlaceOf);
    return rates
      .filter((rate) => rate >= most)
      .map((rate) => `a connection was tried ${rate.toFixed(1)} times a second, not less than ${most}`);
  };

/** No task begins the same attempt twice. */
export const nothingTwice: Holds = (events, { fromMs, untilMs }) => {
  const begun = new Set<string>();
  return all(events, "start").flatMap(({ k, attempt, at }) => {
    const isNew = !begun.has(`${k} ${attempt}`);
    begun.add(`${k} ${attempt}`);
    return isNew || at < fromMs || at >= untilMs ? [] : [`${k} began attempt ${attempt} again`];
  });
};

/** What a killed worker had under way runs again so soon, and it is no more than that worker takes at once. */
export const runsAgain =
  (withinMs: number, most: number): Holds =>
  (events, { fromMs, untilMs }) => {
    const starts = all(events, "start");
    const finished = new Set(all(events, "finish").map(({ run }) => run));
    const deaths = all(events, "process").filter(({ what, at }) => what === "killed" && at >= fromMs && at < untilMs);
    return deaths.flatMap(({ name, at }) => {
      const left = starts.filter(({ by, run }) => by === name && !finished.has(run));
      const late = left.filter(({ k }) => {
        const again = starts.find((one) => one.k === k && one.at > at);
        return again === undefined || again.at - at > withinMs;
      });
      return [
        ...late.map(({ k }) => `${k} did not run again within ${withinMs} ms of the end of ${name}`),
        ...(left.length > most ? [`${name} left ${left.length} tasks, more than ${most}`] : []),
      ];
    });
  };

/** Tasks of the queue "default" go on being started, with no longer pause than that. */
export const noPauseOver =
  (mostMs: number): Holds =>
  (events, { fromMs, healedMs, recoveryMs }) => {
    const queues = new Map(all(events, "invoke").map(({ k, queue }) => [k, queue]));
    const times = all(events, "start")
      .filter(({ k, at }) => queues.get(k) === "default" && at >= fromMs && at <= healedMs + recoveryMs)
      .map(({ at }) => at);
    const ordered = [fromMs, ...times.toSorted((a, b) => a - b), healedMs];
    const longest = ordered.slice(1).reduce((most, at, n) => Math.max(most, at - ordered[n]!), 0);
    return longest > mostMs ? [`no task was started for ${Math.round(longest)} ms, which is over ${mostMs}`] : [];
  };
