import type { Row } from "../row.js";
import { clockRows } from "./clock.js";
import { clusterRows, sentinelRows } from "./failover.js";
import { diskRows } from "./disk.js";
import { hostileRows } from "./hostile.js";
import { networkRows } from "./network.js";
import { operatorRows } from "./operator.js";
import { processRows } from "./process.js";
import { producerRows } from "./producer.js";
import { serverRows } from "./server.js";
import { workerRows } from "./worker.js";

export const rows: readonly Row[] = [
  ...processRows,
  ...serverRows,
  ...networkRows,
  ...workerRows,
  ...operatorRows,
  ...clockRows,
  ...diskRows,
  ...producerRows,
  ...hostileRows,
  ...sentinelRows,
  ...clusterRows,
].toSorted((a, b) => (a.row % 100) - (b.row % 100));
