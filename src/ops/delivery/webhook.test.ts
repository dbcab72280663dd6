import { describe, expect, it } from "vitest";
import { isForbidden, signature } from "./webhook.js";

describe("where a webhook may go", () => {
  it.each([
    "169.254.169.254",
    "169.254.0.1",
    "0.0.0.0",
    "100.100.100.200",
    "224.0.0.1",
    "255.255.255.255",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "ff02::1",
    "::",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:0:169.254.169.254",
    "::169.254.169.254",
    "0:0:0:0:0:0:a9fe:a9fe",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a9fe:a9:fe00::",
    "2001:db8::5efe:a9fe:a9fe",
    "fd12::200:5efe:169.254.169.254",
    "2002:a9fe:a9fe::",
    "2002:a9fe:a9fe::1",
    "2002:6464:64c8::7",
    "2001:0:4136:e378:8000:63bf:5601:5601",
    "no address",
  ])("not to %s", (address) => {
    expect(isForbidden(address)).toBe(true);
  });

  it.each([
    "127.0.0.1",
    "10.0.0.7",
    "192.168.1.1",
    "93.184.216.34",
    "::1",
    "fd12::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::93.184.216.34",
    "fd12::5efe:10.0.0.7",
    "2002:5db8:d822::1",
  ])("but to %s", (address) => {
    expect(isForbidden(address)).toBe(false);
  });
});

it("is signed as the standard for webhooks has it", () => {
  // printf '%s' 'msg_1.1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret -binary | base64
  expect(signature("secret", "msg_1", 1_700_000_000, '{"a":1}')).toBe(
    "v1,Q5nZ7DiOGwijBBqvBVAK6c0zDr2JLkXI7TaV4f+Q2vY=",
  );
});
