import { HoldfastError } from "../core/errors.js";

export type SqlValue = string | number | null | Uint8Array;

/** What is used of a prepared statement; `node:sqlite` and `@photostructure/sqlite` both have it. */
export interface Statement {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
}

/** What is used of a database: the shape of `DatabaseSync` in `node:sqlite`. */
export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

export interface OpenOptions {
  /** Nothing is created, and nothing written. */
  readonly readOnly?: boolean;
  /** Later Nodes refuse some pragmas unless this is false; earlier ones do not know it. */
  readonly defensive?: boolean;
}

export type Driver = (location: string, options?: OpenOptions) => Database;

interface SqliteModule {
  readonly DatabaseSync: new (location: string, options: OpenOptions) => Database;
}

/**
 * SQLite: Node's own where the runtime has it without a flag (22.13 and later), else the package
 * `@photostructure/sqlite`, which has the same interface.
 * @throws BROKER_INCOMPATIBLE when there is neither
 */
export async function loadDriver(): Promise<Driver> {
  const { DatabaseSync } = builtIn() ?? (await installed());
  return (location, options = {}) => new DatabaseSync(location, options);
}

/** Asked for at run time, for a bundler or an older Node would stumble over an import of `node:sqlite`. */
function builtIn(): SqliteModule | undefined {
  return process.getBuiltinModule?.("node:sqlite") as SqliteModule | undefined;
}

async function installed(): Promise<SqliteModule> {
  try {
    return await import("@photostructure/sqlite");
  } catch (error) {
    throw new HoldfastError(
      "BROKER_INCOMPATIBLE",
      {
        broker: "the embedded engine",
        problem: `Node ${process.version} has no SQLite of its own: run \`npm install @photostructure/sqlite@1\`, or use Node 22.13 or later`,
      },
      { cause: error },
    );
  }
}
