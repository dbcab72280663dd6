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
