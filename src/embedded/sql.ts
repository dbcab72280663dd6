import type { Database, Statement } from "./driver.js";

/** A statement by its text; each is prepared once. The text stands where it is used. */
export type Sql = (text: string) => Statement;

export function preparedOnce(database: Database): Sql {
  const statements = new Map<string, Statement>();
  return (text) => {
    let statement = statements.get(text);
    if (statement === undefined) statements.set(text, (statement = database.prepare(text)));
    return statement;
  };
}
