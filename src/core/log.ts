/** Where Holdfast tells people what happened: fields first, then a sentence. A pino logger fits as it is. */
export interface Logger {
  debug(fields: object, sentence: string): void;
  info(fields: object, sentence: string): void;
  warn(fields: object, sentence: string): void;
  error(fields: object, sentence: string): void;
}

/** Warnings and errors on stderr, the rest nowhere. */
export const consoleLogger: Logger = {
  debug() {},
  info() {},
  warn: (fields, sentence) => console.warn(`holdfast: ${sentence}`, fields),
  error: (fields, sentence) => console.error(`holdfast: ${sentence}`, fields),
};

/** For work of which nothing need be told. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** For work that must go on though the user's logger throws: what it did not take is said on stderr. */
export function unfailing(log: Logger): Logger {
  const safely =
    (level: keyof Logger): Logger[keyof Logger] =>
    (fields, sentence) => {
      try {
        log[level](fields, sentence);
      } catch (error) {
        consoleLogger[level](fields, `${sentence} (the logger failed: ${String(error)})`);
      }
    };
  return { debug: safely("debug"), info: safely("info"), warn: safely("warn"), error: safely("error") };
}
