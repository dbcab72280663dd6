import { expect, it } from "vitest";
import { withStorageOpen } from "./storage.js";

const open = (flags: { readonly url?: string }) => withStorageOpen(flags, async () => "opened");

it("says what is wrong with a URL in terms of what the user has written", async () => {
  const before = process.env["HOLDFAST_URL"];
  process.env["HOLDFAST_URL"] = "redis://localhost/first";
  try {
    await expect(open({})).rejects.toThrow(/^HOLDFAST_URL: must name a database/);
    await expect(open({ url: "redis://localhost?timeout=2" })).rejects.toThrow(/^--url\?timeout: must be a duration/);
    await expect(open({ url: "file:" })).rejects.toThrow(/^--url: must name a file/);
  } finally {
    if (before === undefined) delete process.env["HOLDFAST_URL"];
    else process.env["HOLDFAST_URL"] = before;
  }
});
