import type { Logger } from "../core/log.js";
import { type Given, setting } from "../core/settings.js";
import { linkSettings } from "./link-options.js";

export const redisSettings = {
  ...linkSettings,
  allowEviction: setting.flag({
    default: false,
    says: "take a server whose maxmemory-policy may delete tasks when its memory is full",
  }),
};

export interface RedisBrokerOptions extends Given<typeof redisSettings> {
  /** Default: warnings and errors to the console. */
  readonly log?: Logger;
}
