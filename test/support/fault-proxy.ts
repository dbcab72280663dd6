import { connect, createServer, type Server, type Socket } from "node:net";

/** What the proxy does to connections, old and new; see `FaultProxy.set`. */
export type Fault =
  | { readonly kind: "pass" }
  /** A host that is gone: takes what comes and drops it, both ways; closes nothing. */
  | { readonly kind: "blackHole" }
  /** A network that is stuck: keeps what comes, both ways, and delivers it when the fault ends. */
  | { readonly kind: "hold" }
  /** Requests arrive, replies are lost. */
  | { readonly kind: "dropReplies" }
  | { readonly kind: "delay"; readonly ms: number }
  /** Replies are replaced by these bytes. */
  | { readonly kind: "garbage"; readonly bytes: string | Uint8Array }
  /** The connection is reset after so many bytes of the next reply. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** The connection is accepted and reset. */
  | { readonly kind: "resetNew" };

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** What `hold` keeps. */
  held: (() => void)[];
}

/** A TCP proxy in front of a server on the loopback, whose faults are switched while it runs. */
export class FaultProxy implements AsyncDisposable {
  #target: number;
  readonly #pairs = new Set<Pair>();
  #fault: Fault = { kind: "pass" };
  #listener: Server | undefined;
  #port = 0;
  #opened = 0;

  static async to(port: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(port);
    await proxy.listen();
    return proxy;
  }

  private constructor(target: number) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  /** How many connections there are now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** How many there have been. */
  get opened(): number {
    return this.#opened;
  }

  /** From now on, for connections that are open and for new ones. What was held is delivered. */
  set(fault: Fault): void {
    this.#fault = fault;
    for (const pair of this.#pairs) for (const deliver of pair.held.splice(0)) deliver();
  }

  /** To another server, as a name that moves or a balancer does: new connections go there, and the old ones end. */
  lead(port: number): void {
    this.#target = port;
    this.reset();
  }

  /** RST to every client; the server sees a close. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  /** The server's side is closed and no client is told: sockets open at one end only. */
  halfOpen(): void {
    this.#fault = { kind: "blackHole" };
    for (const { server } of this.#pairs) server.destroy();
  }

  /** Nobody listens any more: ECONNREFUSED for new connections, and the old ones are reset. */
  async refuse(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener?.close(resolve));
    this.reset();
    await closed;
  }

  /** Listen, again after `refuse` on the same port. */
  async listen(): Promise<void> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    this.#listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (listener.address() as { port: number }).port;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.refuse();
  }

  #accept(client: Socket): void {
    this.#opened++;
    client.on("error", () => undefined); // Its close follows, and ends the pair.
    if (this.#fault.kind === "resetNew") return void client.resetAndDestroy();
    const server = connect({ port: this.#target, host: "127.0.0.1", noDelay: true });
    const pair: Pair = { client, server, held: [] };
    this.#pairs.add(pair);
    server.on("error", () => undefined);
    client.on("data", (bytes) => this.#carry(pair, () => server.write(bytes), "request", bytes));
    server.on("data", (bytes) => this.#carry(pair, () => client.write(bytes), "reply", bytes));
    client.on("end", () => server.end());
    client.on("close", () => {
      this.#pairs.delete(pair);
      // What is held is still to arrive: the network has it, whatever became of the client.
      if (pair.held.length === 0) server.destroy();
      else this.#pairs.add(pair);
    });
    server.on("close", () => {
      if (this.#fault.kind === "blackHole" || this.#fault.kind === "hold") return;
      this.#pairs.delete(pair);
      client.destroy();
    });
  }

  #carry(pair: Pair, deliver: () => void, what: "request" | "reply", bytes: Buffer): void {
    const fault = this.#fault;
    switch (fault.kind) {
      case "pass":
      case "resetNew":
        return deliver();
      case "blackHole":
        return;
      case "hold":
        pair.held.push(deliver);
        return;
      case "dropReplies":
        return what === "reply" ? undefined : deliver();
      case "delay":
        return void setTimeout(deliver, fault.ms);
      case "garbage":
        return what === "reply" ? void pair.client.write(fault.bytes) : deliver();
      case "cut":
        if (what === "request") return deliver();
        pair.client.write(bytes.subarray(0, fault.afterBytes), () => pair.client.resetAndDestroy());
        return;
    }
    fault satisfies never;
  }
}
