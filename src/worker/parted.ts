import type { Settlement } from "../broker/broker.js";

/**
 * About so many, and the others. What is given back goes together: the part that came later would be put in front of the
 * other.
 */
export function parted(settlements: Settlement[], most: number): [Settlement[], Settlement[]] {
  // Nearly always.
  if (settlements.length <= most) return [settlements, []];
  const [some, others] = [settlements.slice(0, most), settlements.slice(most)];
  const isGivenBack = ({ outcome }: Settlement) => outcome.kind === "released";
  return [[...some, ...others.filter(isGivenBack)], others.filter((one) => !isGivenBack(one))];
}
