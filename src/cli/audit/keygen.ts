import { rmSync, writeFileSync } from "node:fs";
import { Command } from "commander";
import { invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import { teaching } from "../flags.js";
import { print, printJson } from "../output.js";

export function keygenCommand(): Command {
  const command = new Command("keygen")
    .summary("make a key to sign with, and its public half")
    .description(
      "Makes a key to sign with (Ed25519, PEM) and, in FILE.pub, the public half that checks what it signed.",
    )
    .argument("<FILE>", "a new file; nobody but you may read it")
    .option("--json", "print JSON, for programs");
  return teaching(
    command,
    ["holdfast audit keygen /etc/holdfast/audit.pem"],
    "Only the sealer needs FILE. Whoever operates queues should not be able to read it.",
  ).action(async (file: string, flags: { json?: true }) => {
    const { newKeyPair, sealingKey } = await import("../../ops/audit/keys.js");
    const { privateKey, publicKey } = newKeyPair();
    const written: string[] = [];
    const write = (name: string, text: string, mode: number) => {
      writeFileSync(name, text, { mode, flag: "wx" });
      written.push(name);
    };
    try {
      write(`${file}.pub`, publicKey, 0o666);
      write(file, privateKey, 0o600);
    } catch (error) {
      // Half a pair would be in the way of the next try.
      for (const name of written) rmSync(name, { force: true });
      throw invalidOption("FILE", `cannot be written: ${(error as Error).message}`);
    }
    const { id } = sealingKey(privateKey);
    if (flags.json === true) await printJson({ key: id, file, publicFile: `${file}.pub` });
    else await print(`key ${id} is in ${printable(file)}, its public half in ${printable(`${file}.pub`)}`);
  });
}
