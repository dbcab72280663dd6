import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterEach, describe, expect, it } from "vitest";
import { Connection } from "../../src/redis/connection.js";
import { openConnection } from "../../src/redis/open-connection.js";
import { ReplyGuard } from "../../src/redis/reply-guard.js";
import type { StandaloneLink } from "../../src/redis/standalone-link.js";
import { command, failure, newLink } from "../support/link-probe.js";
import { seed } from "../support/seed.js";
import { seeded } from "../support/seeded.js";
import { settles } from "../support/until.js";

const timeoutMs = 500;
const megabyte = 1_024 * 1_024;

/** Writes without end, as fast as it is read, until the other side has had enough or `most` bytes are out. */
function endless(socket: Socket, chunk: Buffer, most: number): void {
  let written = 0;
  const write = () => {
    while (written < most && !socket.destroyed) {
      written += chunk.length;
      if (!socket.write(chunk)) return void socket.once("drain", write);
    }
  };
  write();
}

const answers: readonly (readonly [what: string, answer: (socket: Socket) => void])[] = [
  ["HTTP", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")],
  ["a TLS alert", (socket) => socket.end(Buffer.from("15030300020228", "hex"))],
  ["a line that does not end", (socket) => endless(socket, Buffer.alloc(megabyte, "a"), 300 * megabyte)],
  [
    "a status that does not end",
    (socket) => endless(socket, Buffer.concat([Buffer.from("+"), Buffer.alloc(megabyte, "a")]), 300 * megabyte),
  ],
  [
    "a number that does not end",
    (socket) => endless(socket, Buffer.concat([Buffer.from(":"), Buffer.alloc(megabyte, "1")]), 300 * megabyte),
  ],
  ["a bulk string of 2^62 bytes", (socket) => socket.write(`$${2n ** 62n}\r\nabc`)],
  [
    "a bulk string of 4 GB, and some of it",
    (socket) =>
      endless(socket, Buffer.concat([Buffer.from("$4294967296\r\n"), Buffer.alloc(megabyte)]), 300 * megabyte),
  ],
  ["a bulk string of a negative length", (socket) => socket.write("$-5\r\nabc\r\n")],
  ["a list of 2^40", (socket) => socket.write(`*${2n ** 40n}\r\n:1\r\n`)],
  [
    "a list of 10^9, and some of it",
    (socket) =>
      endless(
        socket,
        Buffer.concat([Buffer.from("*1000000000\r\n"), Buffer.from(":1\r\n".repeat(100_000))]),
        300 * megabyte,
      ),
  ],
  [
    "long lists in one another, of which there is nothing but the lengths",
    (socket) => socket.write("*32000000\r\n".repeat(5)),
  ],
  ["a million lists in one another", (socket) => socket.write("*1\r\n".repeat(1_000_000))],
  [
    "a million lists in one another, bit by bit",
    (socket) => endless(socket, Buffer.from("*1\r\n".repeat(1_000)), 4_000_000),
  ],
  ["a list of a negative length", (socket) => socket.write("*-5\r\n")],
  ["a number that is none", (socket) => socket.write(":12x\r\n")],
  ["RESP3", (socket) => socket.write("%1\r\n+a\r\n+b\r\n~1\r\n:1\r\n>1\r\n+c\r\n")],
  ["a push of RESP3 whose kind is null", (socket) => socket.write(">2\r\n_\r\n$1\r\na\r\n")],
  [
    "a push whose kind is an absent string, bit by bit",
    (socket) => [...">1\r\n$-1\r\n"].forEach((c) => socket.write(c)),
  ],
  ["a push to a channel that is null", (socket) => socket.write(">3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n")],
  ["an absent string of two digits, with a push behind it", (socket) => socket.write("$-01\r\n>1\r\n_\r\n")],
  ["answers to nothing that was asked", (socket) => socket.write("+OK\r\n".repeat(10_000))],
  ["nothing", () => undefined],
];

describe("a server that is none, or means ill", () => {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const links: StandaloneLink[] = [];

  /** `answer` to the first thing that comes. */
  async function serve(answer: (socket: Socket) => void): Promise<StandaloneLink> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("data", () => answer(socket));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const link = newLink(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`, { timeoutMs });
    links.push(link);
    return link;
  }

  afterEach(async () => {
    await settles("close", Promise.all(links.splice(0).map((link) => link.close())), 2_000);
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  });

  it.each(answers)("%s: a typed error in time, and nobody else waits or runs out of memory", async (_, answer) => {
    const link = await serve(answer);
    const before = process.memoryUsage().rss;
    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();

    const error = await failure(link.run([command("GET", "x")]), timeoutMs + 2_500);

    delay.disable();
    expect(error.code).toMatch(/^BROKER_(UNAVAILABLE|INCOMPATIBLE)$/);
    expect(error.message.length).toBeLessThan(500);
    expect(delay.max / 1e6).toBeLessThan(1_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(700 * megabyte);
  });

  it.each([
    "*0",
    "*1\r\n$-1",
    "*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1",
    ":5",
    "$-1",
    "+O",
    "*3\r\n*-1\r\n+a\r\n:1",
    ">2\r\n_\r\n_",
    // The library does not wait for the rest of the line.
    "*-",
    "*2\r\n+a\r\n$-",
  ])("%j to a subscriber: the connection ends, and nothing else does", async (answer) => {
    const link = await serve((socket) => {
      socket.write("+OK\r\n:1\r\n");
      socket.once("data", () => socket.write(answer.endsWith("-") ? answer : `${answer}\r\n`));
    });
    const [node] = await link.nodes();
    const connection = await openConnection(node!.address, link.clock, timeoutMs);
    if (!(connection instanceof Connection)) throw connection;

    const [reply] = await connection.send([command("SUBSCRIBE", "channel")], timeoutMs);

    expect(reply).toMatchObject({ outcome: "unknown" });
    expect(connection.usable).toBe(false);
  });

  it("what Redis may send is taken, in whatever pieces it comes", async () => {
    const replies = [
      "+OK",
      "-ERR x",
      ":-12",
      "$5\r\n>1\r\n_",
      "$0\r\n",
      "$-1",
      "*-1",
      "*0",
      "*2\r\n*1\r\n:1\r\n$4\r\n\r\n>1",
    ];
    const text = replies.map((reply) => `${reply}\r\n`).join("");
    for (const size of [1, 2, 3, 5, 100]) {
      const guard = new ReplyGuard();
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, n) =>
        text.slice(n * size, (n + 1) * size),
      );
      expect(pieces.every((piece) => guard.accepts(Buffer.from(piece)))).toBe(true);
      expect(guard.accepts(Buffer.from(">1\r\n"))).toBe(false);
    }
  });

  it("any bytes at all: a typed error or a reply", async () => {
    const random = seeded(seed);
    const pieces = [
      "+OK\r\n",
      "$3\r\nabc\r\n",
      "$-1\r\n",
      "*2\r\n",
      ":1\r\n",
      "-ERR x\r\n",
      "*-1\r\n",
      "\r\n",
      "$",
      "*",
      "\u0000",
      "é",
      ">1\r\n",
      "_\r\n",
    ];
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;

    const all = Array.from({ length: 100 }, () =>
      Array.from({ length: 1 + Math.floor(random() * 12) }, () => pick(pieces)).join(""),
    );
    const outcomes = all.map(async (bytes) => {
      const link = await serve((socket) => socket.end(bytes));
      const call = link.run([command("GET", "x"), command("GET", "y")]).then(
        () => "replies",
        (error: unknown) => (error as { code?: string }).code,
      );
      const what = `seed ${seed}, ${JSON.stringify(bytes)}`;
      expect(await settles(what, call, timeoutMs + 5_000), what).toMatch(/^(replies|BROKER_\w+)$/);
    });
    await Promise.all(outcomes);
  }, 60_000);
});
