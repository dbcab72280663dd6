import { existsSync } from "node:fs";
import { HoldfastError, invalidOption } from "../core/errors.js";
import { silent } from "../core/log.js";
import { filePath } from "../embedded/file-url.js";
import type * as Library from "../index.js";
import { thisProcess } from "../inspector/options.js";
import { storageUrl } from "./env.js";
import type { ActFlags, StorageFlags } from "./flags.js";

const defaultUrl = "redis://localhost:6379";

/** What a connection goes through is of no interest here: a call that fails says so. */
const quiet = { log: silent } as const;

interface How {
  /** A file that is not there may be made: not by what only looks. */
  readonly mayCreate?: boolean;
  /** Longest wait for Redis, where it is not the library's. */
  readonly timeout?: Library.Duration;
}

export interface Opened {
  readonly broker: Library.Broker;
  readonly inspector: Library.Inspector;
  readonly Client: typeof Library.Client;
}

/** Opens storage for one command, and lets go of it. */
export async function withStorageOpen<T>(
  flags: StorageFlags,
  work: (opened: Opened) => Promise<T>,
  how: How = {},
): Promise<T> {
  const url = flags.url ?? storageUrl() ?? defaultUrl;
  // Loaded only now: help, completion and what is wrong with a call come three times as soon without it.
  const { Client, Inspector, connect } = await import("../index.js");
  const broker = inTermsOf(flags, () => connect(url, optionsOf(url, how)));
  try {
    return await work({ broker, inspector: new Inspector(broker), Client });
  } finally {
    await broker.close();
  }
}

/** What is wrong with a URL is told of the place where the user has written it. */
export function inTermsOf<T>({ url }: StorageFlags, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!HoldfastError.is(error, "OPTION_INVALID") || !/^connect\.url\b/.test(error.data.option)) throw error;
    const where = url === undefined ? "HOLDFAST_URL" : "--url";
    throw invalidOption(error.data.option.replace("connect.url", where), error.data.problem);
  }
}

function optionsOf(url: string, { mayCreate = false, ...rest }: How): Library.ConnectOptions {
  if (/^file:/i.test(url)) {
    const path = filePath(url);
    if (!mayCreate && !existsSync(path)) throw invalidOption("--url", `there is no file ${JSON.stringify(path)}`);
  }
  if (!/^redis/i.test(url)) return {};
  // A server that may evict tasks can be looked at, for how else would it be mended; only enqueueing is refused.
  return { ...quiet, ...rest, allowEviction: !mayCreate };
}

/**
 * Who acts, and why: kept with each act. The user of this machine's account and, on Redis, the user that the server knows
 * us as, for that one cannot be made up.
 */
export async function actOf(
  flags: ActFlags,
  inspector: Library.Inspector,
): Promise<{ actor: string; reason?: string }> {
  const actor = flags.actor ?? (await whoWeAre(inspector));
  return flags.reason === undefined ? { actor } : { actor, reason: flags.reason };
}

async function whoWeAre(inspector: Library.Inspector): Promise<string> {
  const { nodes } = await inspector.storage();
  const redisUser = nodes.find(({ fields }) => "acl_user" in fields)?.fields["acl_user"];
  return redisUser === undefined ? thisProcess() : `${thisProcess()}, Redis user ${redisUser}`;
}
