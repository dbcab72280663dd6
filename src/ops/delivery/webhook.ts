import { createHmac } from "node:crypto";
import { lookup } from "node:dns/promises";
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { BlockList, isIP } from "node:net";
import type { WebhookChannel } from "./channels.js";
import type { Notification } from "./notification.js";
import { secretOf } from "./secret.js";
import { slackBody } from "./slack.js";

/** From the connection to the answer's first line. */
const patienceMs = 5_000;

/** Where a machine tells secrets to whoever asks from it, and nothing that belongs to a user: never a place for a webhook. */
const forbidden = new BlockList();
for (const [net, bits] of [
  ["fe80::", 10],
  ["ff00::", 8],
  // Teredo: the address within is masked, and nobody's webhook is there.
  ["2001::", 32],
  // NAT64 within a site, which puts the address of IPv4 where it likes.
  ["64:ff9b:1::", 48],
] as const)
  forbidden.addSubnet(net, bits, "ipv6");
for (const address of ["::", "fd00:ec2::254", "fd20:ce::254"]) forbidden.addAddress(address, "ipv6");

/** An address of IPv4 may be written as one of IPv6: mapped, translated, by NAT64, and compatible. */
const written = ["::ffff:", "::ffff:0:", "64:ff9b::", "::"];
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 3],
  ["100.100.100.200", 32],
  ["168.63.129.16", 32],
  ["192.0.0.192", 32],
] as const) {
  forbidden.addSubnet(net, bits, "ipv4");
  for (const prefix of written) {
    // ::1 is this machine, and not 0.0.0.1.
    if (prefix !== "::" || net !== "0.0.0.0") forbidden.addSubnet(`${prefix}${net}`, 96 + bits, "ipv6");
  }
  const [a, b, c, d] = net.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  forbidden.addSubnet(`2002:${a}${b}:${c}${d}::`, 16 + bits, "ipv6"); // 6to4
}

export function isForbidden(address: string): boolean {
  const bare = address.replace(/%.*$/, "");
  const family = isIP(bare);
  return family === 0 || forbidden.check(bare, family === 4 ? "ipv4" : "ipv6") || (family === 6 && isByIsatap(bare));
}

/** Whatever the network is: an address of IPv4 in the last four bytes, behind "5efe". */
function isByIsatap(address: string): boolean {
  const [, high, low] = /:5efe:(\w+):(\w+)\]$/.exec(new URL(`http://[${address}]`).hostname) ?? [];
  if (high === undefined || low === undefined) return false;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return forbidden.check([a >> 8, a & 255, b >> 8, b & 255].join("."), "ipv4");
}

/** What a receiver checks: HMAC-SHA256 over "id.timestamp.body", base64, as "v1,…". */
export function signature(secret: string, id: string, timestampS: number, body: string): string {
  return `v1,${createHmac("sha256", secret).update(`${id}.${timestampS}.${body}`).digest("base64")}`;
}

/**
 * POSTs it. @throws when it is not taken: no answer in time, another status than 2xx (a redirect is not followed), or a
 * place that no webhook may go to
 */
export async function postWebhook(channel: WebhookChannel, notification: Notification, nowMs: number): Promise<void> {
  const url = new URL(channel.url);
  const address = await allowedAddress(url.hostname.replace(/^\[|\]$/g, ""));
  const body = JSON.stringify(channel.format === "slack" ? slackBody(notification) : notification);
  const secret = await secretOf(channel.secret, channel.secretFile);
  const timestampS = Math.floor(nowMs / 1_000);
  const status = await post(url, address, body, {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "user-agent": "holdfast-monitor",
    "webhook-id": notification.id,
    "webhook-timestamp": String(timestampS),
    ...(secret === undefined ? {} : { "webhook-signature": signature(secret, notification.id, timestampS, body) }),
  });
  if (status >= 300 && status < 400) throw new Error(`it answered ${status}: redirects are not followed`);
  if (status < 200 || status >= 300) throw new Error(`it answered ${status}`);
}

/** The address that is connected to is the one that was looked at: a name may lead elsewhere a moment later. */
async function allowedAddress(host: string): Promise<string> {
  const addresses = isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
  const [first] = addresses;
  if (first === undefined || addresses.some(isForbidden))
    throw new Error("its host is a link-local, metadata or multicast address: refused");
  return first;
}

async function post(url: URL, address: string, body: string, headers: Record<string, string>): Promise<number> {
  const request = url.protocol === "https:" ? tlsRequest : plainRequest;
  const name = url.hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: address,
        port: url.port === "" ? undefined : Number(url.port),
        path: `${url.pathname}${url.search}`,
        method: "POST",
        headers: { host: url.host, ...headers },
        // The certificate is to be that of the name, not of the address.
        ...(isIP(name) === 0 ? { servername: name } : {}),
        agent: false,
        signal: AbortSignal.timeout(patienceMs),
      },
      (response) => {
        // What it says is of no interest, and may be endless.
        response.on("error", () => undefined);
        response.destroy();
        resolve(response.statusCode ?? 0);
      },
    );
    sent.on("error", (error) =>
      reject(
        error.name === "AbortError" || error.name === "TimeoutError" ? new Error("it did not answer in time") : error,
      ),
    );
    sent.end(body);
  });
}
