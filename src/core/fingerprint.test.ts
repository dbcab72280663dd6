import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fingerprintOf, framesOf, isFingerprint, normalised } from "./fingerprint.js";
import type { Failure } from "./outcome.js";

const failure = (fields: Partial<Failure> = {}): Failure => ({
  reason: "retries_exhausted",
  class: "Error",
  message: "",
  startedAtMs: 0,
  durationMs: 0,
  ...fields,
});
const of = (message: string, fields: Partial<Failure> = {}, type = "invoice") =>
  fingerprintOf(type, failure({ ...fields, message }));

/** Each line is one cause, told as programs tell it on different days. */
const same: Record<string, readonly string[]> = {
  "Node, connection refused": [
    "connect ECONNREFUSED 127.0.0.1:6379",
    "connect ECONNREFUSED 10.0.3.17:6380",
    "connect ECONNREFUSED ::1:6379",
  ],
  "Node, DNS": ["getaddrinfo ENOTFOUND db-7f3e9a1c.internal", "getaddrinfo ENOTFOUND db-0a1b2c3d.internal"],
  "Node, file": [
    "ENOENT: no such file or directory, open '/var/app/7f/report.pdf'",
    "ENOENT: no such file or directory, open '/srv/app/1/other file.pdf'",
  ],
  "fetch with causes": [
    "fetch failed: connect ETIMEDOUT 93.184.216.34:443",
    "fetch failed: connect ETIMEDOUT 151.101.1.69:443",
  ],
  axios: [
    "Request to https://api.example.com/v1/users/42 timed out after 5000ms",
    "Request to https://api.example.com/v1/users/7?x=1 timed out after 30000ms",
  ],
  JSON: ["Unexpected token < in JSON at position 0", "Unexpected token < in JSON at position 1874"],
  Stripe: ["No such customer: cus_9s6XKzkNRiz8i3", "No such customer: cus_4QF3Ojw2pOmAGJ"],
  "AWS request ids": [
    "ThrottlingException: Rate exceeded (Service: SQS, Status Code: 400, Request ID: 2f1c7d0e-5b0a-4c8f-9d0e-aaaaaaaaaaaa)",
    "ThrottlingException: Rate exceeded (Service: SQS, Status Code: 400, Request ID: 00000000-1111-4222-8333-444444444444)",
  ],
  "Go, context": [
    'Post "https://hooks.example.com/a/1": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
    'Post "https://hooks.example.com/b/22": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
  ],
  "Go, dial": [
    "dial tcp 10.1.2.3:5432: connect: connection refused",
    "dial tcp 10.9.8.7:5433: connect: connection refused",
  ],
  "Go, panic": [
    "panic [/go/src/app/handlers/mail.go:88]: runtime error: index out of range [5] with length 3",
    "panic [/build/9f3c2/handlers/mail.go:91]: runtime error: index out of range [11] with length 10",
  ],
  "Go, pointer": [
    "invalid memory address 0xc000123450 at pc=0x4a2f10",
    "invalid memory address 0xc0ffee0000 at pc=0x4a9b77",
  ],
  Python: ["KeyError: 'order_81723'", "KeyError: 'order_9'"],
  "Python, traceback line": [
    'File "/usr/src/app/jobs/mail.py", line 41, in send: SMTPServerDisconnected: Connection unexpectedly closed',
    'File "/home/deploy/releases/20261122/jobs/mail.py", line 44, in send: SMTPServerDisconnected: Connection unexpectedly closed',
  ],
  "Java, object": [
    "Cannot lock com.acme.billing.Invoice@1b6d3586 within 3000 ms",
    "Cannot lock com.acme.billing.Invoice@4554617c within 500 ms",
  ],
  "Java, lambda": [
    "java.lang.IllegalStateException: Mail$$Lambda$14/0x0000000800066840 closed",
    "java.lang.IllegalStateException: Mail$$Lambda$27/0x00000008000cd440 closed",
  ],
  Rust: [
    "called `Result::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound }",
    "called `Option::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound }",
  ],
  "Rust, thread": [
    "thread 'tokio-runtime-worker' panicked at src/mail.rs:17:9",
    "thread 'tokio-runtime-worker' panicked at src/mail.rs:21:13",
  ],
  "C#": [
    "Could not find a part of the path 'C:\\inetpub\\app\\tmp\\a1.xml'.",
    "Could not find a part of the path 'D:\\work\\b2.xml'.",
  ],
  Ruby: [
    "undefined method `name' for #<User:0x00007f8b1c0d2e48>",
    "undefined method `name' for #<User:0x00007f8b1c11aa10>",
  ],
  PostgreSQL: [
    'duplicate key value violates unique constraint "users_email_key" Key (email)=(ada@example.com) already exists.',
    'duplicate key value violates unique constraint "users_email_key" Key (email)=(bob.smith+x@mail.example.org) already exists.',
  ],
  MySQL: ["Duplicate entry '42-2026' for key 'orders.PRIMARY'", "Duplicate entry '7-2025' for key 'orders.PRIMARY'"],
  MongoDB: [
    'E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: "a@b.de" }',
    'E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: "c@d.de" }',
  ],
  Redis: ["MOVED 3999 127.0.0.1:6381", "MOVED 15495 10.0.0.9:6379"],
  dates: [
    "token expired at 2026-11-22T10:12:11.123Z",
    "token expired at 2025-01-02 03:04:05",
    "token expired at Sun Nov 22 10:12:11 UTC 2026",
    "token expired at Mon, 02 Jan 2006 15:04:05 GMT",
    "token expired at 22.11.2026",
  ],
  lists: ["missing rows: 1, 2, 3", "missing rows: 17", "missing rows: 4; 5"],
  German: [
    "Datei „rechnung.pdf“ wurde nach 30 Sekunden nicht gefunden",
    "Datei „mahnung 2.pdf“ wurde nach 5 Sekunden nicht gefunden",
  ],
  French: [
    "Impossible d'ouvrir « a.txt » : accès refusé après 3 essais",
    "Impossible d'ouvrir « b b.txt » : accès refusé après 12 essais",
  ],
  Japanese: ["注文12345が見つかりません。", "注文９９が見つかりません。"],
  "Japanese, quoted": ["ファイル「請求書.pdf」を開けません", "ファイル「見積 2.pdf」を開けません"],
  Chinese: ["订单 100023 支付失败：余额不足", "订单 8 支付失败：余额不足"],
  Arabic: ["الطلب ١٢٣ غير موجود", "الطلب ٤٥ غير موجود"],
  Russian: ["Заказ №1234 не найден в базе", "Заказ №98 не найден в базе"],
};

const different: readonly (readonly [string, string])[] = [
  ["connect ECONNREFUSED 10.0.0.1:80", "connect ETIMEDOUT 10.0.0.1:80"],
  ["Request failed with status code 404", "Request failed with status code 500"],
  ["HTTP/1.1 503 from upstream", "connection reset by upstream"],
  ["ERROR: relation does not exist (SQLSTATE 42501)", "ERROR: relation does not exist (SQLSTATE 23505)"],
  ["ORA-00942: failed", "ORA-00001: failed"],
  ["E11000 duplicate key", "E11600 duplicate key"],
  ["Prisma P2002 on write", "Prisma P2025 on write"],
  ["process ended with exit code 137", "process ended with exit code 139"],
  ["cannot read text/html", "cannot read text/plain"],
  ["Zeitüberschreitung beim Lesen", "Zeitüberschreitung beim Schreiben"],
  ["注文が見つかりません", "商品が見つかりません"],
  ["invalid user", "invalid order"],
  ["can't read user's file", "can't write user's file"],
];

describe("what is one cause", () => {
  it.each(Object.entries(same))("%s", (_, texts) => {
    expect(new Set(texts.map(normalised)).size, texts.map(normalised).join("\n")).toBe(1);
    expect(new Set(texts.map((text) => of(text))).size).toBe(1);
  });

  it("no two of the corpus are the same cause", () => {
    const all = Object.values(same).map(([text]) => of(text!));
    expect(new Set(all).size).toBe(all.length);
  });

  it.each(different)("%s | %s", (one, other) => {
    expect(of(one)).not.toBe(of(other));
  });

  it("type, reason and class tell causes apart", () => {
    const one = of("boom");
    expect(of("boom", { class: "TypeError" })).not.toBe(one);
    // Go's errors have none.
    expect(of("boom", { class: "" })).toBe(one);
    expect(of("boom", { reason: "timeout" })).not.toBe(one);
    expect(of("boom", {}, "mail")).not.toBe(one);
    expect(isFingerprint(one)).toBe(true);
  });

  it("version 1 does not change: it is stored", () => {
    const stack = "Error: x\n    at Orders.charge (/app/dist/orders.js:10:5)";
    expect(of("customer 42 of <b@c.de> at 10:00", { stack })).toBe("v1:295473e41dc3255c");
    const corpus = [...Object.values(same), ...different].flat();
    const long = corpus.map((text, n) => `${text} ${corpus[(n * 7) % corpus.length]}\n`.repeat(1 + (n % 30)));
    const all = createHash("sha256").update([...corpus, corpus.join(" "), ...long].map(normalised).join("\0"));
    expect(all.digest("hex").slice(0, 16)).toBe("632481ec109716d2");
  });
});

describe("calls of a stack", () => {
  const node = (root: string, line: number, hash: string) =>
    [
      "TypeError: x is not a function",
      `    at charge (${root}/dist/orders-${hash}.js:${line}:5)`,
      `    at async Orders.run (file://${root}/dist/chunks/orders.mjs?v=${hash}:${line + 4}:11)`,
      `    at Array.map (<anonymous>)`,
      `    at ${root}/dist/worker.js:${line}:2`,
      `    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`,
      `    at run (${root}/node_modules/holdfast/dist/index.js:1:2)`,
      `    at fourth (${root}/dist/main.js:1:2)`,
      `    at fifth (${root}/dist/more.js:1:2)`,
    ].join("\n");

  it("stay the same over deploys: lines, directories and hashes are left out", () => {
    const one = node("/builds/1843/app", 10, "3f9a2c1b");
    const other = node("/srv/releases/20261122", 97, "a81c03de");
    expect(framesOf(one)).toEqual(["charge orders-<hex>", "Orders.run orders", " worker"]);
    expect(of("x", { stack: other })).toBe(of("x", { stack: one }));
  });

  it("tell causes apart", () => {
    const at = (name: string) => of("x", { stack: `Error: x\n    at ${name} (/app/a.js:1:1)` });
    expect(at("charge")).not.toBe(at("refund"));
  });

  it("of Java and C#", () => {
    expect(
      framesOf("x\n\tat com.acme.Mail.send(Mail.java:41)\n\tat java.base/java.lang.Thread.run(Thread.java:829)"),
    ).toEqual(["com.acme.Mail.send Mail"]);
    expect(framesOf("   at Acme.Mail.Send(String to) in C:\\build\\17\\Mail.cs:line 41")).toEqual([
      "Acme.Mail.Send(String to) Mail",
    ]);
  });
});

describe("what a definition says", () => {
  it("stands for all else, across types", () => {
    const one = of("a", { fingerprint: "bank closed" });
    expect(of("b", { fingerprint: "bank closed", class: "BankError" }, "mail")).toBe(one);
    expect(of("a", { fingerprint: "bank gone" })).not.toBe(one);
    expect(of("a")).not.toBe(one);
  });
});

describe("any text", () => {
  it("costs no more than its length", () => {
    const hostile = [
      "a",
      "0",
      "1a",
      "'",
      '"',
      "@",
      "a@",
      "a.",
      ".",
      "/",
      "a/",
      ":",
      "0:",
      "<",
      "<n",
      "-",
      "a-",
      " ",
      "\\",
      "٣",
    ];
    for (const part of hostile) {
      const took = (length: number) => {
        const text = part.repeat(Math.ceil(length / part.length));
        const began = performance.now();
        for (let n = 0; n < 3; n += 1) normalised(text);
        return performance.now() - began;
      };
      took(4_096);
      // Squared it would take minutes.
      expect(took(400_000), part).toBeLessThan(3_000);
    }
  });

  it("has a fingerprint", () => {
    for (const text of ["", "\0", "\ud800", "'", "\n\n", "<n>", "💥 5"]) expect(isFingerprint(of(text))).toBe(true);
  });
});
