/** What has the same key together, in order; the keys in the order in which they come first. */
export function groupedBy<T, K>(items: Iterable<T>, keyFor: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyFor(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
