import { setting } from "../core/settings.js";

/** How a spool delivers and lets go; the options of its files are the store's. */
export const deliverySettings = {
  trustAfter: setting.duration({
    default: undefined,
    min: "1s",
    max: "1h",
    says:
      "how long Redis must have stayed the same before a task that it took leaves the spool; none: as long as its own " +
      "settings ask for, 3 s and more for one server, 20 s and more where there are replicas. Longer all the same while a " +
      "replica lacks it that may take over",
  }),
  afterSave: setting.flag({
    default: false,
    says: "where Redis saves snapshots only: keep tasks until a snapshot has them",
  }),
  maxPerSecond: setting.integer({
    default: undefined,
    min: 1,
    says: "delivers no more than so many tasks a second; none: as fast as Redis takes them",
  }),
};
