/**
 * As much of PostgreSQL's protocol as the tests need, so that they need no driver: one connection without a password, and
 * `query` as the package pg has it, with every value as text. (postgresql.org/docs, "Frontend/Backend Protocol".)
 */
import { once } from "node:events";
import { connect } from "node:net";

const zero = (text) => Buffer.from(`${text}\0`);
const int32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const int16 = (value) => int32(value).subarray(2);
const message = (type, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
};

export async function connectPostgres(port) {
  const socket = connect(port, "127.0.0.1");
  let unread = Buffer.alloc(0);
  let answer = { rows: [], names: [], error: undefined };
  /** Called when the server is ready for the next query, or is gone. */
  let settle = () => {};
  let gone;

  socket.on("data", (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    while (unread.length >= 5 && unread.length > unread.readInt32BE(1)) {
      const end = unread.readInt32BE(1) + 1;
      heard(String.fromCharCode(unread[0]), unread.subarray(5, end));
      unread = unread.subarray(end);
    }
  });
  socket.on("error", (error) => (gone = error));
  socket.on("close", () => {
    gone ??= new Error("the connection was closed");
    settle();
  });

  function heard(type, body) {
    if (type === "T") answer.names = namesOf(body);
    else if (type === "D") answer.rows.push(rowOf(body, answer.names));
    else if (type === "E") answer.error = new Error(errorOf(body));
    else if (type === "Z") settle();
  }

  let before = Promise.resolve();
  function send(bytes) {
    const answered = before.then(async () => {
      answer = { rows: [], names: [], error: undefined };
      if (gone === undefined)
        await new Promise((resolve) => {
          settle = resolve;
          socket.write(bytes);
        });
      const error = answer.error ?? gone;
      if (error !== undefined) throw error;
      return { rows: answer.rows };
    });
    before = answered.catch(() => {});
    return answered;
  }

  await once(socket, "connect");
  const startup = Buffer.concat([
    int32(196_608),
    zero("user"),
    zero("postgres"),
    zero("database"),
    zero("postgres"),
    zero(""),
  ]);
  await send(Buffer.concat([int32(startup.length + 4), startup]));
  return {
    query(text, values = []) {
      const parameters = values.map((value) => {
        if (value === null) return int32(-1);
        const bytes = Buffer.from(String(value));
        return Buffer.concat([int32(bytes.length), bytes]);
      });
      const bind = [zero(""), zero(""), int16(0), int16(values.length), ...parameters, int16(0)];
      return send(
        Buffer.concat([
          message("P", zero(""), zero(text), int16(0)),
          message("B", ...bind),
          message("D", zero("P")),
          message("E", zero(""), int32(0)),
          message("S"),
        ]),
      );
    },
    close() {
      socket.end(message("X"));
      return true;
    },
  };
}

function namesOf(body) {
  const names = [];
  let at = 2;
  while (names.length < body.readInt16BE(0)) {
    const end = body.indexOf(0, at);
    names.push(body.toString("utf8", at, end));
    at = end + 19; // Behind the name: table, column, type, size, modifier and format.
  }
  return names;
}

function rowOf(body, names) {
  const row = {};
  let at = 2;
  for (const name of names) {
    const length = body.readInt32BE(at);
    at += 4;
    row[name] = length < 0 ? null : body.toString("utf8", at, at + length);
    at += Math.max(0, length);
  }
  return row;
}

const errorOf = (body) =>
  body
    .toString()
    .split("\0")
    .find((field) => field.startsWith("M"))
    ?.slice(1) ?? "PostgreSQL reports an error";
