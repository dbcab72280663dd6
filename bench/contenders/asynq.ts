import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Redis } from "ioredis";
import { type Open, queueNames } from "../contender.js";

const folder = join(import.meta.dirname, "../go");
const program = join(import.meta.dirname, "../../.cache/go/bench");
const version = /asynq v(\S+)/.exec(readFileSync(join(folder, "go.mod"), "utf8"))![1]!;
/** CPU time in /proc is counted in these, on every Linux there is. */
const ticksPerS = 100;

/** Go's own asynq: producer and worker in a process beside this one. It has no verb for many tasks. */
export const open: Open = (url, queueCount) => {
  execFileSync("go", ["build", "-o", program, "."], { cwd: folder });
  const { host } = new URL(url);
  const names = queueNames(queueCount);
  const go = spawn(program, [host, ...names], { stdio: ["pipe", "pipe", "inherit"] });
  process.once("exit", () => go.kill("SIGKILL"));
  const redis = new Redis(url);
  let heard = (_line: string) => {};
  let started = (_atMs: number) => {};
  createInterface({ input: go.stdout }).on("line", (line) => {
    if (/^\d+$/.test(line)) started(Number(line) / 1_000);
    else heard(line);
  });
  const ask = (line: string) =>
    new Promise<string>((resolve) => {
      heard = resolve;
      go.stdin.write(`${line}\n`);
    });
  const sum = async (commands: (name: string) => [string, string][]) => {
    const replies = await redis.pipeline(names.flatMap(commands)).exec();
    return replies!.reduce((total, [, value]) => total + Number(value ?? 0), 0);
  };
  let runs = 0;
  const stop = async () => {
    runs = Number((await ask("stop")).split(" ")[1]);
  };
  return {
    version,
    cpuS() {
      const [, , ...fields] = readFileSync(`/proc/${go.pid}/stat`, "utf8").split(/\) | /);
      // The fields after the name: utime and stime are the 12th and 13th.
      return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
    },
    enqueue: async (count, width) => void (await ask(`enqueue ${count} ${width}`)),
    async drain(concurrency, settled) {
      await ask(`drain ${concurrency}`);
      const tell = async () => settled(await sum((name) => [["get", `asynq:{${name}}:processed`]]));
      const watch = setInterval(() => void tell(), 5);
      return {
        runs: () => runs,
        async stop() {
          clearInterval(watch);
          await stop();
        },
      };
    },
    async listen(onStarted) {
      started = onStarted;
      await ask("listen");
      return { runs: () => runs, stop };
    },
    left: () =>
      sum((name) => [
        ...["pending", "active"].map((list): [string, string] => ["llen", `asynq:{${name}}:${list}`]),
        ...["retry", "archived"].map((set): [string, string] => ["zcard", `asynq:{${name}}:${set}`]),
      ]),
    async close() {
      go.kill("SIGKILL");
      redis.disconnect();
    },
  };
};
