/** How this program was called, for the lines that say what to type next. */
export function calledAs(): string {
  return process.env["npm_lifecycle_event"] === "demo" ? "npm run demo --" : "npx holdfast demo";
}
