import { HoldfastError } from "../core/errors.js";
import type { RedisLink } from "./link.js";
import { checkServer, checkVersion, type ServerCheck } from "./server-check.js";

/** How often it is looked for the data's version while its node is away. */
const againMs = 1_000;

/** Whether storage can hold tasks, looked at with the first call; a look that failed is taken again with the next. */
export class Fitness {
  readonly #link: RedisLink;
  readonly #check: ServerCheck;
  #checked: Promise<void> | undefined;
  /** One node of a Cluster has the version. */
  #versionKnown = false;
  #looking = false;
  #againMs = 0;

  constructor(link: RedisLink, check: ServerCheck) {
    this.#link = link;
    this.#check = check;
  }

  /** @throws BROKER_INCOMPATIBLE BROKER_UNAVAILABLE */
  async ready(): Promise<void> {
    this.#checked ??= this.#look();
    await this.#checked;
    if (!this.#versionKnown && !this.#looking && performance.now() > this.#againMs) void this.#lookAtVersion();
  }

  async #look(): Promise<void> {
    try {
      this.#versionKnown = await checkServer(this.#link, this.#check);
    } catch (error) {
      this.#checked = undefined;
      throw error;
    }
  }

  /** Beside the calls, which do without that node; never rejects. */
  async #lookAtVersion(): Promise<void> {
    this.#looking = true;
    try {
      await checkVersion(this.#link, { insist: false });
      this.#versionKnown = true;
    } catch (error) {
      // Newer data are left alone by the next call on: that one looks at everything.
      if (HoldfastError.is(error, "BROKER_INCOMPATIBLE")) this.#checked = undefined;
    }
    this.#againMs = performance.now() + againMs;
    this.#looking = false;
  }
}
