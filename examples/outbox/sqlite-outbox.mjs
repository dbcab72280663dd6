import { randomUUID } from "node:crypto";

export const table = `
CREATE TABLE IF NOT EXISTS outbox (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id       TEXT NOT NULL UNIQUE,
  type     TEXT NOT NULL,
  payload  TEXT NOT NULL,
  problem  TEXT
)`;

/** `database`: of node:sqlite, @photostructure/sqlite or better-sqlite3. */
export function sqliteOutbox(database) {
  return {
    /** Within your transaction: the task is there if, and only if, that commits. Answers the task's id. */
    add(type, payload) {
      const id = randomUUID();
      database
        .prepare("INSERT INTO outbox (id, type, payload) VALUES (?, ?, ?)")
        .run(id, type, JSON.stringify(payload));
      return id;
    },
    async next(limit) {
      const text = "SELECT id, type, payload FROM outbox WHERE problem IS NULL ORDER BY sequence LIMIT ?";
      return database.prepare(text).all(limit);
    },
    async remove(ids) {
      const text = "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))";
      database.prepare(text).run(JSON.stringify(ids));
    },
    /** It stays in the table until somebody looks: SELECT * FROM outbox WHERE problem IS NOT NULL. */
    async setAside(id, problem) {
      database.prepare("UPDATE outbox SET problem = ? WHERE id = ?").run(problem, id);
    },
  };
}
