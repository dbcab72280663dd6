/** How this program was called, for the lines that say what to type next. */
export function calledAs(): { readonly demo: string; readonly demoAlone: string } {
  return process.env["npm_lifecycle_event"] === "demo"
    ? { demo: "npm run demo --", demoAlone: "npm run -s demo --" } // -s: without npm's own lines
    : { demo: "npx holdfast demo", demoAlone: "npx holdfast demo" };
}

/** HOLDFAST_URL: which storage, where no --url is given; a password in it is not seen in a list of processes. */
export function storageUrl(): string | undefined {
  return process.env["HOLDFAST_URL"] || undefined;
}

/** HOLDFAST_AUDIT_KEY: the key that the audit log is signed with, as PEM. */
export function auditKey(): string | undefined {
  return process.env["HOLDFAST_AUDIT_KEY"] || undefined;
}

/** VISUAL or EDITOR: what people edit a text with; words with blanks between them. */
export function editor(): string | undefined {
  return process.env["VISUAL"] || process.env["EDITOR"] || undefined;
}
