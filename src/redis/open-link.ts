import { ClusterLink, type NodeLook } from "./cluster-link.js";
import { Connection, type Opener } from "./connection.js";
import type { RedisLink } from "./link.js";
import type { LinkOptions } from "./link-options.js";
import { openConnection } from "./open-connection.js";
import { masterBehind } from "./sentinel.js";
import { StandaloneLink } from "./standalone-link.js";
import { SwitchWatch } from "./switch-watch.js";

/** How to connect to the one server that there is. */
export function openerOf(options: Exclude<LinkOptions, { readonly kind: "cluster" }>): Opener {
  if (options.kind === "server") return (...how) => openConnection(options.address, ...how);
  const open = masterBehind(options, options.label);
  return async (...how) => {
    const opened = await open(...how);
    if (opened instanceof Connection) SwitchWatch.of(options).follow(opened);
    return opened;
  };
}

/** The link for such options; it connects with its first call. `look`: at each node of a Cluster, before it is written to. */
export function openLink(options: LinkOptions, look?: NodeLook): RedisLink {
  return options.kind === "cluster" ? new ClusterLink(options, look) : new StandaloneLink(options, openerOf(options));
}
