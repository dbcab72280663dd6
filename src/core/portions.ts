/** A long list as lists of at most so many, in order. */
export const portions = <T>(list: readonly T[], most: number): T[][] =>
  Array.from({ length: Math.ceil(list.length / most) }, (_, n) => list.slice(n * most, (n + 1) * most));

/** Asks for one portion after the other: of all at once the answers might come too late. They are answered in order. */
export async function inTrips<T, A>(
  list: readonly T[],
  mostPerTrip: number,
  ask: (some: readonly T[]) => Promise<readonly A[]>,
): Promise<A[]> {
  const answers: A[] = [];
  for (const some of portions(list, mostPerTrip)) for (const answer of await ask(some)) answers.push(answer);
  return answers;
}
