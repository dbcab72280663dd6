import { randomUUID } from "node:crypto";

/**
 * The sequence orders rows as they were inserted. A transaction that commits late comes late: its rows are seen then,
 * for the relay asks for the first that are there, and remembers no place.
 */
export const table = `
CREATE TABLE IF NOT EXISTS outbox (
  sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id       TEXT NOT NULL UNIQUE,
  type     TEXT NOT NULL,
  payload  TEXT NOT NULL,
  problem  TEXT
)`;

/** `pool`: whatever has `query(text, values)` and answers `{ rows }`, such as a Pool of the package pg. */
export function postgresOutbox(pool) {
  return {
    /** `client`: the one that your transaction is on. The task is there if, and only if, that commits. Answers its id. */
    async add(client, type, payload) {
      const id = randomUUID();
      const values = [id, type, JSON.stringify(payload)];
      await client.query("INSERT INTO outbox (id, type, payload) VALUES ($1, $2, $3)", values);
      return id;
    },
    async next(limit) {
      const text = "SELECT id, type, payload FROM outbox WHERE problem IS NULL ORDER BY sequence LIMIT $1";
      const { rows } = await pool.query(text, [limit]);
      return rows;
    },
    async remove(ids) {
      // As JSON, so that any driver can send it.
      const text = "DELETE FROM outbox WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb))";
      await pool.query(text, [JSON.stringify(ids)]);
    },
    /** It stays in the table until somebody looks: SELECT * FROM outbox WHERE problem IS NOT NULL. */
    async setAside(id, problem) {
      await pool.query("UPDATE outbox SET problem = $1 WHERE id = $2", [problem, id]);
    },
  };
}
