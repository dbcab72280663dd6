import { ClusterLink } from "./cluster-link.js";
import { Connection, type Opener } from "./connection.js";
import type { RedisLink } from "./link.js";
import type { LinkOptions } from "./link-options.js";
import { masterBehind } from "./sentinel.js";
import { StandaloneLink } from "./standalone-link.js";

/** How to connect to the one server that there is. */
export function openerOf(options: Exclude<LinkOptions, { readonly kind: "cluster" }>): Opener {
  return options.kind === "server"
    ? (...how) => Connection.open(options.address, ...how)
    : masterBehind(options, options.label);
}

/** The link for such options; it connects with its first call. */
export function openLink(options: LinkOptions): RedisLink {
  return options.kind === "cluster" ? new ClusterLink(options) : new StandaloneLink(options, openerOf(options));
}
