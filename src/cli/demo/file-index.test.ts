import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { indexFile } from "./file-index.js";

describe("indexFile", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-index-"));
  const indexed = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return indexFile(join(folder, name));
  };

  afterAll(() => rmSync(folder, { recursive: true }));

  it("describes a file", async () => {
    expect(await indexed("abc.txt", "abc\n")).toEqual({
      sha256: "edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb",
      bytes: 4,
      lines: 1,
      gzipBytes: 24,
    });
  });

  it.each(["{}", '\ufeff{"a": 1}', '{ "a": "// no comment", /* one */ "b": [1,],\n} // end', '"text, ]"'])(
    "takes for JSON what tools take for it: %j",
    async (content) => expect(await indexed("a.json", content)).toMatchObject({ bytes: Buffer.byteLength(content) }),
  );

  it.each(["", "{ a: 1 }", '{"a": 1', "[1,,2]", '{"a": "/* }'])(
    "refuses what is no JSON, for good: %j",
    async (content) => {
      await expect(indexed("b.json", content)).rejects.toMatchObject({
        name: "SkipRetry",
        message: "a .json file that is not valid JSON",
      });
    },
  );

  it("refuses text that is not UTF-8 where the name says text, and takes it elsewhere", async () => {
    const latin1 = Buffer.from("Jos\u00e9", "latin1");

    await expect(indexed("c.CSV", latin1)).rejects.toMatchObject({ name: "SkipRetry" });
    expect(await indexed("c.bin", latin1)).toMatchObject({ bytes: 4 });
  });

  it("fails in a way worth another attempt when a file is not there, without its path in the sentence", async () => {
    const failure = indexFile(join(folder, "missing.txt"));

    await expect(failure).rejects.toMatchObject({ name: "Error", message: "the file is not there (ENOENT)" });
  });

  it("refuses what is no file", async () => {
    await expect(indexFile(folder)).rejects.toMatchObject({ name: "SkipRetry", message: "not a regular file" });
  });
});
