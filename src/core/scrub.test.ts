import { describe, expect, it } from "vitest";
import { goes, stays } from "../../test/support/secret-texts.js";
import { scrub, scrubberOf, scrubRules } from "./scrub.js";

const clean = (text: string) => scrub(text, 8_192);

describe("scrub", () => {
  it.each(goes)("%s", (text, secrets, left) => {
    const scrubbed = clean(text);

    for (const secret of secrets) expect(scrubbed).not.toContain(secret);
    for (const word of left) expect(scrubbed).toContain(word);
    expect(clean(scrubbed)).toBe(scrubbed);
  });

  it.each(stays)("leaves: %s", (text) => {
    expect(clean(text)).toBe(text);
  });

  it("does not keep the half of a secret that the end cuts in two", () => {
    const text = `${"x ".repeat(2_040)}token=s3cr3t-${"y".repeat(40)} ${"z ".repeat(5_000)}`;
    for (let most = 4_080; most < 4_140; most++) expect(scrub(text, most)).not.toContain("s3cr3t");
    const later = `${"password=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1 ".repeat(100)}4111 1111 1111 1111`;
    for (let most = 2_900; most < 2_960; most++) expect(scrub(later, most)).not.toMatch(/4111/);
  });

  const hostile = [
    "a@",
    "a:b@",
    "://a:b",
    "://@",
    "eyJ",
    "eyJ.",
    "sk-",
    "password=",
    "password: ",
    'password:"',
    'password:\\"',
    "\\",
    '"\\',
    "--password ",
    "--",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN A",
    "<token>",
    "<",
    "4111 ",
    "4111-1111-",
    "1",
    "a.",
    "a@a.",
    "bearer ",
    "cookie: a=",
    "cookie: a",
    "thin:a/",
    "-u a:",
    "'",
    "ghp_",
    " \t",
    "üß@",
    "token token=",
  ];
  it.each(hostile)("takes time in proportion to a text of %j", (piece) => {
    const timeOf = (chars: number) => {
      const text = `${piece.repeat(Math.ceil(chars / piece.length))}@ ://`;
      const began = performance.now();
      scrub(text, text.length);
      return performance.now() - began;
    };
    timeOf(10_000);
    // What grows with the square of the length would take minutes.
    expect(timeOf(200_000)).toBeLessThan(2_000);
  });
});

describe("scrub rules of a user", () => {
  it("are patterns, each of whose matches goes, and functions", () => {
    const mine = scrubberOf([/EMP-\d+/, /order/y, (text) => text.replaceAll("Bluebird", "[project]")]);

    expect(mine("EMP-1 and EMP-22 of Bluebird, an order, bob@example.com", 100)).toBe(
      "[secret] and [secret] of [project], an [secret], [email]",
    );
    expect(mine("EMP-1", 100)).toBe(mine("EMP-1", 100));
  });

  it("withhold the text when they fail, and throw nothing out", () => {
    const throwing = scrubberOf([
      /x/,
      () => {
        throw new Error("no");
      },
    ]);
    const odd = scrubberOf([(() => undefined) as unknown as (text: string) => string]);

    expect(throwing("a secret", 100)).toBe("[withheld: scrub rule 2 failed]");
    expect(odd("a secret", 100)).toBe("[withheld: scrub rule 1 failed]");
  });

  it.each([["secret"], [[/a/, "secret"]], [{}], [[null]]])("refuse %j, naming the option", (given) => {
    expect(() => scrubRules(given, "Worker.scrub")).toThrow(/Worker\.scrub/);
  });
});
