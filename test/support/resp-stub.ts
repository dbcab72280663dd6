import { createServer, type Server, type Socket } from "node:net";
import { Redis } from "ioredis";

/** In place of the real server's answer; undefined: that one. An Error is an error reply. */
export type Script = (name: string, args: readonly string[]) => unknown;

/**
 * A server that answers some commands by a script and leaves the others to a real one, in order, connection by connection:
 * for commands that the installed version does not have.
 */
export class RespStub implements AsyncDisposable {
  readonly #behind: number;
  readonly #script: Script;
  readonly #listener: Server;
  readonly #open = new Set<{ readonly client: Socket; readonly server: Redis }>();

  static async before(port: number, script: Script): Promise<RespStub> {
    const stub = new RespStub(port, script);
    await new Promise<void>((resolve) => stub.#listener.listen(0, "127.0.0.1", resolve));
    return stub;
  }

  private constructor(port: number, script: Script) {
    this.#behind = port;
    this.#script = script;
    this.#listener = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#listener.address() as { port: number }).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client, server } of this.#open) {
      client.destroy();
      server.disconnect();
    }
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #accept(client: Socket): void {
    const server = new Redis(this.#behind, "127.0.0.1", { protocol: 2 });
    const pair = { client, server };
    this.#open.add(pair);
    let unread = Buffer.alloc(0);
    let answered = Promise.resolve();
    client.on("error", () => undefined);
    client.on("close", () => {
      server.disconnect();
      this.#open.delete(pair);
    });
    client.on("data", (bytes: Buffer) => {
      unread = Buffer.concat([unread, bytes]);
      for (let read = commandIn(unread); read !== undefined; read = commandIn(unread)) {
        const { parts } = read;
        unread = unread.subarray(read.length);
        answered = answered.then(async () => void client.write(await this.#answer(server, parts)));
      }
    });
  }

  async #answer(server: Redis, [name, ...args]: readonly Buffer[]): Promise<Buffer> {
    const scripted = await this.#script(name!.toString().toUpperCase(), args.map(String));
    if (scripted !== undefined) return encoded(scripted);
    return server.callBuffer(name!.toString(), args).then(encoded, (error: Error) => encoded(error));
  }
}

function commandIn(bytes: Buffer): { readonly parts: Buffer[]; readonly length: number } | undefined {
  let at = 0;
  const line = () => {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const text = bytes.toString("latin1", at + 1, end);
    at = end + 2;
    return Number(text);
  };
  const count = line();
  if (count === undefined) return undefined;
  const parts: Buffer[] = [];
  for (let n = 0; n < count; n++) {
    const length = line();
    if (length === undefined || bytes.length < at + length + 2) return undefined;
    parts.push(bytes.subarray(at, at + length));
    at += length + 2;
  }
  return { parts, length: at };
}

function encoded(value: unknown): Buffer {
  if (value instanceof Error) return Buffer.from(`-${value.message}\r\n`);
  if (typeof value === "number") return Buffer.from(`:${value}\r\n`);
  if (value === null || value === undefined) return Buffer.from("$-1\r\n");
  if (Array.isArray(value)) return Buffer.concat([Buffer.from(`*${value.length}\r\n`), ...value.map(encoded)]);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]);
}
