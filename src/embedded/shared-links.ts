import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { memory } from "./database-file.js";
import { StoreLink } from "./store-link.js";

const linkByLocation = new Map<string, { readonly link: StoreLink; users: number }>();

/** The link to the store at `file`: one for all brokers of this process that use the same file; in memory each its own. */
export function acquireLink(file: string, label: string): { readonly link: StoreLink; release(): Promise<void> } {
  if (file === memory) {
    const link = new StoreLink({ location: memory, label });
    return { link, release: () => link.end() };
  }
  const location = realLocation(file);
  const shared = linkByLocation.get(location) ?? { link: new StoreLink({ location, label }), users: 0 };
  linkByLocation.set(location, shared);
  shared.users += 1;
  return {
    link: shared.link,
    async release() {
      shared.users -= 1;
      if (shared.users > 0) return;
      linkByLocation.delete(location);
      await shared.link.end();
    },
  };
}

/** The same for every way of writing a path, through links in folders too; the file itself may not be there yet. */
function realLocation(file: string): string {
  const path = resolve(file);
  try {
    return realpathSync(path);
  } catch {
    // Not there yet, or not to be read: opening it will tell.
  }
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
