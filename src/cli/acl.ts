import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Argument, Command, Option } from "commander";
import { invalidOption } from "../core/errors.js";
import { type AclExtra, aclExtras, type AclOptions, type AclRole, aclRoles, aclRule, saysOf } from "../ops/acl.js";
import { teaching } from "./flags.js";
import { note, print, printJson } from "./output.js";

interface AclFlags {
  readonly queue?: readonly string[];
  readonly user?: string;
  readonly passwordFile?: string;
  readonly with?: readonly AclExtra[];
  readonly json?: true;
}

export function aclCommand(): Command {
  const command = new Command("acl")
    .summary("what each role needs of Redis, as rules to load")
    .description(
      `Prints users with the least rights of Redis that their roles need, a line each, as an ACL file has them: ${aclRoles.join(", ")}. For Redis 7.0 or newer.`,
    )
    .addArgument(new Argument("[ROLE...]", "these; all unless given").choices(aclRoles))
    .option("-q, --queue <QUEUE>", "only this queue; again for more", (one, all: readonly string[] | undefined) => [
      ...(all ?? []),
      one,
    ])
    .addOption(new Option("--with <WHAT...>", "what they need besides").choices(aclExtras))
    .option("--user <NAME>", "the user's name, of one role; holdfast-ROLE unless given")
    .option("--password-file <FILE>", "of one role: with the password, whose SHA-256 is printed; else the user is off")
    .option("--json", "print JSON, for programs");
  return teaching(
    command,
    [
      "holdfast acl worker --password-file worker.secret >> users.acl",
      "holdfast acl operator --queue mail --queue sms --user mail-team",
      "holdfast acl worker --with cluster",
    ],
    "Without `user` in front a line is for ACL SETUSER. docs/operate/access.md says what each role can do, and cannot.",
  ).action(async (given: readonly AclRole[], flags: AclFlags) => {
    const roles = given.length > 0 ? given : aclRoles;
    for (const option of ["user", "passwordFile"] as const) {
      if (flags[option] === undefined || roles.length === 1) continue;
      throw invalidOption(option === "user" ? "--user" : "--password-file", "is for one role: which?");
    }
    const rules = roles.map((role) => ({ role, says: saysOf(role), rule: aclRule(role, optionsOf(flags)) }));
    if (flags.json === true) return void (await printJson(rules));
    await print(...rules.map(({ rule }) => rule));
    for (const { role, says } of rules) note(`${role}: ${says}`);
    if (flags.passwordFile === undefined) note("They are off until they have a password: --password-file.");
  });
}

function optionsOf({ queue, user, passwordFile, with: extras }: AclFlags): AclOptions {
  return {
    ...(queue === undefined ? {} : { queues: queue }),
    ...(user === undefined ? {} : { user }),
    ...(extras === undefined ? {} : { extras }),
    ...(passwordFile === undefined ? {} : { passwordHash: hashOf(passwordFile) }),
  };
}

/** The line's end belongs to the file, not to the password. */
function hashOf(file: string): string {
  let password: string;
  try {
    password = readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw invalidOption("--password-file", `cannot be read: ${(error as Error).message}`);
  }
  if (password === "") throw invalidOption("--password-file", "holds no password");
  return createHash("sha256").update(password).digest("hex");
}
