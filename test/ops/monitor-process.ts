import { started } from "../support/cli.js";
import { until } from "../support/until.js";

/** `holdfast monitor` as a process, and where its metrics are. */
export async function monitorOf(url: string, config: string) {
  const child = started(["monitor", "--url", url, "--config", config, "--port", "0"]);
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  const address = () => /metrics at (http:\S+\/metrics)\./.exec(said)?.[1];
  await until("it watches", () => address() !== undefined, 20_000);
  return { child, metrics: address()! };
}
