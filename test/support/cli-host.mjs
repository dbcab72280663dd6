import { pathToFileURL } from "node:url";

/**
 * The program, many times in one process: to start one anew for each call takes most of the time. Each call evaluates the
 * main module again, and hears what it would have written and its exit code.
 */
const [, , program] = process.argv;
let calls = 0;

process.on("message", (args) => void call(args));

async function call(args) {
  const written = { stdout: "", stderr: "" };
  const streams = ["stdout", "stderr"];
  const write = streams.map((name) => process[name].write);
  for (const name of streams) {
    process[name].write = (chunk, ...rest) => {
      written[name] += chunk;
      rest.findLast((one) => typeof one === "function")?.();
      return true;
    };
  }
  process.argv = [process.execPath, program, ...args];
  process.exitCode = 0;
  try {
    await import(`${pathToFileURL(program).href}?call=${(calls += 1)}`);
  } finally {
    for (const [n, name] of streams.entries()) {
      process[name].write = write[n];
      process[name].removeAllListeners("error"); // Each call listens anew.
    }
  }
  process.send({ status: process.exitCode, ...written });
}
