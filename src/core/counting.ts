// Made when it is needed first: that takes tens of milliseconds, which many a process never spends.
let grouped: Intl.NumberFormat | undefined;

/** "12,345" */
export function count(value: number): string {
  grouped ??= new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  return grouped.format(value);
}

/** "1 task", "12,345 tasks" */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;
