/** A worker process of a contender: `worker.ts <contender> <url>`; works until it is killed. */
import type { Open } from "./contender.js";

const [name, url] = process.argv.slice(2) as [string, string];
const { open } = (await import(`./contenders/${name}.js`)) as { open: Open };
await (await open(url, 1)).drain(10, () => {});
process.send!("ready");
