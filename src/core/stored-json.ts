/** What is stored, as a value; nothing where it is not JSON: anyone may write there. */
export function storedJson(text: string | null | undefined): unknown {
  if (text === null || text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
