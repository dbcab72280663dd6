import { columns, startOf } from "../terminal.js";

/** A line that is drawn over and over, where somebody looks. */
export function drawing(out: NodeJS.WriteStream = process.stderr) {
  const clear = "\r\u001b[K";
  return {
    draw: (line: string) => void (out.isTTY && out.write(`${clear}${startOf(line, columns() - 1)}`)),
    end: () => void (out.isTTY && out.write(clear)),
  };
}
