/** Header of a task that only workers of this build or a later one are to run; "": any. */
export const minBuildHeader = "holdfast-min-build";

/**
 * Whether a worker's build is none that a task asks for: compared part by part ("1.10.0" is later than "1.9.3"), numbers as
 * numbers, all else as text. A worker that says no build is older than any.
 */
export function isOlderBuild(build: string | undefined, min: string | undefined): boolean {
  if (min === undefined || min === "") return false;
  if (build === undefined) return true;
  const [ours, theirs] = [partsOf(build), partsOf(min)];
  for (const [n, wanted] of theirs.entries()) {
    const part = ours[n];
    if (part === undefined) return true;
    if (part === wanted) continue;
    if (typeof part === "number" && typeof wanted === "number") return part < wanted;
    return String(part) < String(wanted);
  }
  return false;
}

const partsOf = (build: string) =>
  build
    .replace(/^v(?=\d)/, "")
    .split(/[.+_-]/)
    .map((part) => (/^\d{1,15}$/.test(part) ? Number(part) : part));
