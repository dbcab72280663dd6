import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Server as NetServer } from "node:net";
import { text } from "node:stream/consumers";
import { SMTPServer } from "smtp-server";
import type { Notification } from "../../src/ops/index.js";

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A real HTTP server that takes webhooks; what it answers can be changed. */
export class WebhookReceiver implements AsyncDisposable {
  readonly all: Received[] = [];
  /** "hang": nothing is answered. */
  answer: number | "hang" = 200;
  #server: Server | undefined;

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    const server = createServer((request, response) => void receiver.#take(request, response));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    receiver.#server = server;
    return receiver;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.all.push({ path: request.url ?? "", headers: request.headers, body: await text(request) });
    if (this.answer === "hang") return;
    response.writeHead(this.answer, this.answer === 302 ? { location: "/elsewhere" } : {}).end();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server!.address() as AddressInfo).port}/hook`;
  }

  get notifications(): Notification[] {
    return this.all.map(({ body }) => JSON.parse(body) as Notification);
  }

  /** "NoWorkers firing", in the order in which they came. */
  get told(): string[] {
    return this.notifications.map(({ rule, event }) => `${rule} ${event}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((done) => this.#server?.close(done));
  }
}

/** A real SMTP server, without TLS, that may ask who sends. */
export class MailReceiver implements AsyncDisposable {
  readonly mails: {
    readonly from: string;
    readonly to: readonly string[];
    readonly subject: string;
    readonly text: string;
  }[] = [];
  readonly #server: SMTPServer;

  constructor(password?: string) {
    this.#server = new SMTPServer({
      disabledCommands: password === undefined ? ["STARTTLS", "AUTH"] : ["STARTTLS"],
      authOptional: password === undefined,
      allowInsecureAuth: true,
      onAuth: ({ username, password: given }, _session, done) =>
        given === password ? done(null, { user: username }) : done(new Error("wrong password")),
      onData: (stream, { envelope }, done) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          const from = envelope.mailFrom === false ? "" : envelope.mailFrom.address;
          const to = envelope.rcptTo.map(({ address }) => address);
          const mail = Buffer.concat(chunks).toString();
          this.mails.push({ from, to, subject: subjectOf(mail), text: mail });
          done();
        });
      },
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `127.0.0.1:${((this.#server.server as NetServer).address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((done) => this.#server.close(done));
  }
}

/** As a person reads it: unfolded, and decoded where it is "=?UTF-8?Q?…?=". */
function subjectOf(mail: string): string {
  const header = mail.slice(0, mail.indexOf("\r\n\r\n")).replaceAll(/\r\n(?=[ \t])/g, "");
  const line = /^Subject: (.*)$/m.exec(header.replaceAll("\r\n", "\n"))?.[1] ?? "";
  const words = line.replaceAll(/\?=\s+=\?/g, "?==?");
  return words.replaceAll(/=\?utf-8\?q\?(.*?)\?=/gi, (_, word: string) =>
    Buffer.from(
      word
        .replaceAll("_", " ")
        .replaceAll(/=([\dA-F]{2})/g, (_hex, code: string) => String.fromCharCode(Number.parseInt(code, 16))),
      "latin1",
    ).toString(),
  );
}
