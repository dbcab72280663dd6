import type { QueueInfo } from "../../index.js";

/** All tasks that a queue holds. */
export const taskCount = ({ counts }: QueueInfo): number => Object.values(counts).reduce((sum, one) => sum + one, 0);

/** "1.4%": of what was processed; nothing where nothing was. */
export function errorRate(processed: number, failed: number): string {
  return processed === 0 ? "" : `${((failed / processed) * 100).toFixed(1)}%`;
}
