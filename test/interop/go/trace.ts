import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import type { RedisServer } from "../../support/redis-server.js";
import { until } from "../../support/until.js";
import { Lists } from "./lists.js";
import { mutationsOf } from "./mutations.js";

/** What was written to a server, a mutation a line, as often as it happened, sorted. */
export type Trace = readonly string[];

interface Seen {
  readonly nowS: number;
  readonly words: string[];
}

/** Records what is written to a server while something is done, with MONITOR. */
export class Recorder {
  readonly #redis: Redis;
  readonly #seen: Seen[] = [];
  #marks = "";

  static async on(server: RedisServer): Promise<Recorder> {
    const client = new Redis(server.url, { protocol: 2 });
    const monitor = await client.monitor();
    return new Recorder(server.admin, client, monitor);
  }

  readonly #client: Redis;
  readonly #monitor: Redis;

  private constructor(admin: Redis, client: Redis, monitor: Redis) {
    this.#redis = admin;
    this.#client = client;
    this.#monitor = monitor;
    monitor.on("monitor", (time: string, words: string[]) => {
      if (words[0]!.toUpperCase() === "ECHO") this.#marks = words[1]!;
      else this.#seen.push({ nowS: Number(time), words });
    });
  }

  /** `withServers`: also what they say of themselves. */
  async record(act: () => Promise<void>, withServers = false): Promise<Trace> {
    const lists = await Lists.of(this.#redis);
    await this.#mark();
    this.#seen.length = 0;
    await act();
    await this.#mark();
    const left = withServers ? otherRounds : rounds;
    const lines = this.#seen.flatMap(({ nowS, words }) =>
      mutationsOf(words, { nowS, lists })
        .filter((line) => !left.test(line))
        .map(withoutNames),
    );
    return lines.filter((line, n) => !isOwn(line) || lines.indexOf(line) === n).toSorted();
  }

  close(): void {
    this.#monitor.disconnect();
    this.#client.disconnect();
  }

  /** All that came before has been seen. */
  async #mark(): Promise<void> {
    const mark = randomUUID();
    await this.#redis.echo(mark);
    await until("the recorder has caught up", () => this.#marks === mark);
  }
}

/** What is done now and then, whatever the tasks are: looking for sets that are over, marking the data, saying that one lives. */
const otherRounds = /aggregation_sets|asynq:schedulers\b|holdfast:data\b/;
const rounds = new RegExp(`${otherRounds.source}|asynq:(servers|workers)\\b`);

/** How often what is ours alone is written tells nothing of asynq's data: once will do. */
const isOwn = (line: string) => /holdfast:|hf_/.test(line);

const withoutNames = (line: string) =>
  withoutServer(line.replaceAll(/\b\d{4}-\d\d-\d\d\b/g, "<day>").replaceAll(/(done|req):\S+/g, "$1:…"));

/** Keys of a server are named after its host, its process and a chance id. */
export const withoutServer = (text: string) => text.replaceAll(/\{[^{}]+:\d+:[\da-f-]{36}\}/g, "{<server>}");
