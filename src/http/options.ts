import { invalidOption, shown } from "../core/errors.js";
import { type Given, setting } from "../core/settings.js";

export const healthServerSettings = {
  port: setting.integer({ default: 8_080, min: 0, max: 65_535, says: "where to listen; 0 takes a free one" }),
  host: setting.text({
    default: "127.0.0.1",
    allowed: "a name or address of this machine",
    says: 'on which address to listen; "0.0.0.0" where another machine asks, as in Kubernetes',
    parse(value, option) {
      // Node would listen on every address for an empty one.
      if (typeof value === "string" && value !== "") return value;
      throw invalidOption(option, `must be ${healthServerSettings.host.allowed}, got ${shown(value)}`);
    },
  }),
};

export const monitorServerSettings = {
  ...healthServerSettings,
  port: setting.integer({ default: 9_464, min: 0, max: 65_535, says: "where to listen; 0 takes a free one" }),
};

export type MonitorServerOptions = Given<typeof monitorServerSettings>;
export type HealthServerOptions = Given<typeof healthServerSettings>;
