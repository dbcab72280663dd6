import { lastTimeMs } from "../core/duration.js";
import { type Command, LinkError, type ScriptCall } from "./link.js";

/**
 * The server is in no state to take the call, or does not let us. In a script it says so at the first write, before
 * anything is changed; only a command that the user may not run can come after others, and that error has no such code.
 */
const refusals = new Set([
  ..."LOADING BUSY READONLY MASTERDOWN CLUSTERDOWN TRYAGAIN NOREPLICAS OOM MISCONF".split(" "),
  ..."NOAUTH WRONGPASS NOPERM NOSCRIPT STALE MOVED ASK".split(" "),
]);
/**
 * These come from a replica, or a master that lost its replicas: another server may be behind the address by now. Or from
 * one that lets us in for some time only, and is to be told anew who we are.
 */
const movedOn = new Set(["READONLY", "MASTERDOWN", "NOREPLICAS", "NOAUTH"]);

export const isMovedOn = (error: LinkError): boolean => movedOn.has(error.code);

/** This user may not, or nobody may: who rents out Redis takes commands away, and then the server does not know them. */
export const isForbidden = ({ code, problem }: LinkError): boolean =>
  code === "NOPERM" || /^ERR unknown (sub)?command/.test(problem);

/**
 * What an error reply means. The text is the server's, without what it may quote of our arguments, and without its
 * wrapping of an error inside a script: up to 6.2 `ERR Error running script (call to f_<sha1>): @user_script:3: -OOM …`
 * (or, when the script caught it and returned it, from `@user_script` on), later `OOM … script: <sha1>, on @user_script:3.`
 */
export function serverError(reply: string, call?: ScriptCall | Command): LinkError {
  const inScript = /@user_script: ?(\d+)/.exec(reply);
  const said = reply
    .replace(/^(?:ERR Error running script.*?)?@user_script: ?\d+: (?:@user_script: ?\d+: )?-?/, "")
    .replace(/ script: [0-9a-f]{40}, on @\w+:\d+\.?/, "")
    .replace(/,? with args beginning with:[^]*$/, "")
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u001f\u007f]+/g, " ")
    .slice(0, 200);
  const code = /^[A-Z][A-Z0-9]+(?= |$)/.exec(said)?.[0] ?? "";
  const where =
    inScript !== null && call !== undefined && "script" in call ? ` (${call.script.name}.lua:${inScript[1]})` : "";
  if (code === "MAINTENANCE") return new LinkError("refused", code, maintenance(said));
  const meaning = code === "STALE" ? ": it came to the server after its deadline" : keysAtFault(code, said, call);
  return new LinkError(outcomeOf(code, said), code, `${said}${meaning}${where}`);
}

function outcomeOf(code: string, said: string): "refused" | "failed" {
  if (said.startsWith("ERR max number of clients") || said.startsWith("ERR AUTH ")) return "refused";
  return refusals.has(code) ? "refused" : "failed";
}

/** By enqueue.lua: until when (ms), and why. */
function maintenance(said: string): string {
  const [, untilMs = "", reason = ""] = /^MAINTENANCE (\d+) ?(.*)$/.exec(said) ?? [];
  const until = new Date(Math.min(Number(untilMs), lastTimeMs)).toISOString();
  return `maintenance until ${until}${reason === "" ? "" : `: ${reason}`}`;
}

/** Redis does not say which key holds the wrong type, or is not for this user. */
function keysAtFault(code: string, said: string, call: ScriptCall | Command | undefined): string {
  if (!(code === "WRONGTYPE" || (code === "NOPERM" && said.includes("keys"))) || call === undefined) return "";
  if (!("script" in call)) return `: ${String(call.args[0])}`;
  const some = call.keys.slice(0, 8).join(", ");
  return call.keys.length === 1 ? `: ${some}` : `: one of ${some}${call.keys.length > 8 ? ", …" : ""}`;
}
