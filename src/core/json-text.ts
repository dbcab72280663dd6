/** JSON as text: what is there keeps its digits and its order, which parsing and writing would not promise. */

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Valid JSON with a member a line. Only the blanks between its parts change. */
export function setOut(json: string): string {
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (const [part] of json.matchAll(/"(?:[^"\\]|\\[^])*"|[{[]\s*[}\]]|[^\s"]/g)) {
    if (part === "{" || part === "[") {
      depth += 1;
      out += part + line();
    } else if (part === "}" || part === "]") {
      depth -= 1;
      out += line() + part;
    } else if (part === ",") out += part + line();
    else if (part === ":") out += ": ";
    else out += /^[{[]./.test(part) ? part[0]! + part.at(-1)! : part;
  }
  return out;
}

/** The same on one line, without blanks between its parts. */
export function packed(json: string): string {
  return Array.from(json.matchAll(/"(?:[^"\\]|\\[^])*"|[^\s"]/g), ([part]) => part).join("");
}
