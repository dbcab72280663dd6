import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { Connection, type Opener, type Unconnected } from "./connection.js";
import { totalOf } from "./answers.js";
import { expireAfter } from "../core/expiry.js";
import type { SentinelPlace } from "./link-options.js";
import { LinkError, type Reply } from "./link.js";
import { openConnection } from "./open-connection.js";
import { hostAndPort, type RedisAddress } from "./redis-url.js";
import { isForbidden } from "./server-error.js";
import { isPort } from "./slots.js";

/** What one Sentinel knows of the master; `epoch` grows with each failover. */
export interface Sighting {
  readonly host: string;
  readonly port: number;
  readonly epoch: number;
  readonly runId: string;
  /** "master", and what else there is to say, with commas. */
  readonly flags: string;
  readonly downAfterMs: number;
}

type Answer = Sighting | Unconnected | "unknown master";

/** Once a majority has answered, the others have this long. */
const graceMs = 100;

/**
 * Opens connections to the master as the Sentinels know it by now. All are asked, and a majority must answer: a minority
 * may be cut off, and name a master that is none any more. Of the answers the one with the highest epoch counts, for an
 * epoch rises only when a new master has been made; the others have not heard of it yet. The server must say that it is
 * the master, or it is looked for again.
 */
export function masterBehind({ sentinels, master, data }: SentinelPlace, label: string): Opener {
  const trouble = (problem: string): Unconnected =>
    new HoldfastError("BROKER_UNAVAILABLE", { broker: label, problem, outcome: "notSent", taskIds: [] });

  return async (clock, timeoutMs) => {
    const untilMs = performance.now() + timeoutMs;
    const majority = Math.floor(sentinels.length / 2) + 1;
    const answers = await mostOf(
      sentinels.map((sentinel) => askOne(sentinel, master, timeoutMs)),
      majority,
      timeoutMs,
      isSighting,
    );
    const sightings = answers.filter(isSighting);
    if (sightings.length < majority) {
      const refused = answers.find((answer) => HoldfastError.is(answer, "BROKER_INCOMPATIBLE"));
      if (refused !== undefined) return refused;
      if (answers.filter((answer) => answer === "unknown master").length >= majority) {
        const problem = `its Sentinels know no master "${master}": check ?master= in the URL`;
        return new HoldfastError("BROKER_INCOMPATIBLE", { broker: label, problem });
      }
      const silent = answers.find((answer) => HoldfastError.is(answer, "BROKER_UNAVAILABLE"));
      const example = silent === undefined ? "" : `: ${silent.data.problem}`;
      return trouble(`${sightings.length} of ${sentinels.length} Sentinels answered, ${majority} must${example}`);
    }
    const { host, port } = sightings.reduce((newest, next) => (next.epoch > newest.epoch ? next : newest));
    const address: RedisAddress = {
      ...data,
      host,
      port,
      path: undefined,
      label: `${data.tls === undefined ? "redis" : "rediss"}://${hostAndPort({ host, port })}${data.db === 0 ? "" : `/${data.db}`}`,
    };
    const leftMs = Math.max(1, untilMs - performance.now());
    const connection = await openConnection(address, clock, leftMs);
    if (!(connection instanceof Connection)) return connection;
    const [role] = await connection.send([{ name: "ROLE", args: [] }], leftMs);
    // One who may not ask is told by the first write.
    if (isMaster(role) || (role instanceof LinkError && isForbidden(role))) return connection;
    connection.end();
    return trouble(
      role instanceof LinkError ? role.problem : `${hostAndPort(address)} is not the master that it is said to be`,
    );
  };
}

const isSighting = (answer: Answer): answer is Sighting => typeof answer === "object" && "epoch" in answer;

const isMaster = (role: Reply | undefined) => Array.isArray(role) && String(role[0]) === "master";

async function askOne(sentinel: RedisAddress, master: string, timeoutMs: number): Promise<Answer> {
  const connection = await openConnection(sentinel, new DisciplinedClock(), timeoutMs);
  if (!(connection instanceof Connection)) return connection;
  const [reply] = await connection.send([{ name: "SENTINEL", args: ["MASTER", master] }], timeoutMs);
  connection.end();
  if (reply instanceof LinkError) {
    if (/no such master/i.test(reply.problem)) return "unknown master";
    const error = reply.toError(sentinel.label);
    return HoldfastError.is(error, "BROKER_UNAVAILABLE")
      ? error
      : new HoldfastError("BROKER_INCOMPATIBLE", {
          broker: sentinel.label,
          problem: `${hostAndPort(sentinel)} is no Sentinel: ${reply.problem}`,
        });
  }
  const sighting = sightingOf(reply);
  if (sighting !== undefined) return sighting;
  return new HoldfastError("BROKER_INCOMPATIBLE", {
    broker: sentinel.label,
    problem: `${hostAndPort(sentinel)} is no Sentinel: its answer names no master`,
  });
}

/** Reads SENTINEL MASTER: names and values by turns; undefined where that is no such answer. */
export function sightingOf(reply: Reply | undefined): Sighting | undefined {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  const field = (name: string) => flat.find((_, n) => n % 2 === 1 && flat[n - 1] === name) ?? "";
  const [host, port, epoch] = [field("ip"), Number(field("port")), Number(field("config-epoch"))];
  if (host === "" || !isPort(port) || !Number.isSafeInteger(epoch)) return undefined;
  const downAfterMs = totalOf(field("down-after-milliseconds"));
  return { host, port, epoch, runId: field("runid"), flags: field("flags"), downAfterMs };
}

/** What has been answered when all have, a little after `enough` of them are of use, or when the time is up. */
export function mostOf<A>(
  asked: readonly Promise<A>[],
  enough: number,
  timeoutMs: number,
  isOfUse: (answer: A) => boolean,
): Promise<A[]> {
  return new Promise((resolve) => {
    const answers: A[] = [];
    const finish = () => {
      stop();
      resolve(answers);
    };
    let stop = expireAfter(timeoutMs, finish);
    let useful = 0;
    const hear = (answer: A) => {
      answers.push(answer);
      if (isOfUse(answer) && ++useful === enough) {
        stop();
        stop = expireAfter(graceMs, finish);
      }
      if (answers.length === asked.length) finish();
    };
    for (const one of asked) void one.then(hear);
  });
}
