import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A probe or a scrape asks again soon: no connection is kept for it, and none may be held open. */
const patienceMs = 5_000;

export interface Served extends AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  /** A string is sent as text, anything else as JSON. */
  readonly body: unknown;
  /** Of a text. */
  readonly type?: string;
}

/**
 * A small server for those who watch: paths that are asked with GET. It keeps no process alive.
 * @throws the system's error when it cannot listen there
 */
export async function serve(
  routes: Readonly<Record<string, () => Answer | Promise<Answer>>>,
  { port, host }: { readonly port: number; readonly host: string },
): Promise<Served> {
  const paths = Object.keys(routes).join(" and ");
  const answerTo = async (path: string, method: string | undefined): Promise<Answer> => {
    const route = Object.hasOwn(routes, path) ? routes[path]! : undefined;
    if (route === undefined) return { status: 404, body: { problem: `there are ${paths}` } };
    if (method !== "GET" && method !== "HEAD") return { status: 405, body: { problem: "only GET" } };
    return route();
  };
  const server = createServer({ requestTimeout: patienceMs, headersTimeout: patienceMs }, (request, response) => {
    answerTo((request.url ?? "").replace(/\?.*$/s, ""), request.method).then(
      (answer) => write(response, answer),
      () => write(response, { status: 500, body: { problem: "it failed" } }),
    );
  });
  server.maxConnections = 64;
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(port, host, () => {
      server.removeListener("error", fail);
      done();
    });
  });
  server.unref();
  const close = async () => {
    server.closeAllConnections();
    await new Promise<void>((done) => server.close(() => done()));
  };
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}

function write(response: ServerResponse, { status, body, type = "text/plain; charset=utf-8" }: Answer): void {
  response.writeHead(status, {
    "content-type": typeof body === "string" ? type : "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    connection: "close",
  });
  response.end(typeof body === "string" ? body : `${JSON.stringify(body)}\n`);
}
