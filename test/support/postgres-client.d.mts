export interface PostgresClient {
  /** As the package pg has it: parameters are $1, $2, …; every value is text. */
  query(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: readonly Record<string, string | null>[] }>;
  close(): true;
}

export function connectPostgres(port: number): Promise<PostgresClient>;
