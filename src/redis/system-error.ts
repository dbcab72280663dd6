/** Errors of sockets, files, DNS and TLS have a code, and a message that holds nothing of what was sent. */
export function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && typeof (error as { code?: unknown }).code === "string";
}
