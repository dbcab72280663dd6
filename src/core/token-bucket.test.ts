import { describe, expect, it } from "vitest";
import { TokenBucket } from "./token-bucket.js";

function bucketAt(rate: { perSecond: number; burst: number }) {
  let nowMs = 1_000;
  const bucket = new TokenBucket(rate, () => nowMs);
  return { bucket, pass: (ms: number) => (nowMs += ms) };
}

describe("token bucket", () => {
  it("lets a burst pass at once, then so many a second", () => {
    const { bucket, pass } = bucketAt({ perSecond: 10, burst: 3 });

    expect([1, 2, 3].map(() => bucket.take(1, 0))).toEqual([0, 0, 0]);
    expect(bucket.take(1, 0)).toBe(100);
    pass(100);
    expect([bucket.take(1, 0), bucket.take(1, 0)]).toEqual([0, 100]);
    pass(60_000);
    expect([1, 2, 3, 4].map(() => bucket.take(1, 0))).toEqual([0, 0, 0, 100]);
  });

  it("gives those who wait one turn after the other, and none to who would wait too long", () => {
    const { bucket, pass } = bucketAt({ perSecond: 10, burst: 1 });

    expect([1, 2, 3].map(() => bucket.take(1, 500))).toEqual([0, 100, 200]);
    expect([bucket.take(1, 250), bucket.take(1, 250)]).toEqual([300, 300]);
    expect(bucket.take(1, 300)).toBe(300);
    pass(400);
    expect(bucket.take(1, 0)).toBe(0);
  });

  it("lets more than the burst pass when it is full, and makes the others wait for the whole", () => {
    const { bucket, pass } = bucketAt({ perSecond: 100, burst: 10 });

    expect(bucket.take(50, 0)).toBe(0);
    expect(bucket.take(1, 0)).toBe(410);
    pass(410);
    expect(bucket.take(1, 0)).toBe(0);
  });

  it("takes back what was not used", () => {
    const { bucket } = bucketAt({ perSecond: 1, burst: 5 });
    bucket.take(5, 0);

    bucket.giveBack(5);

    expect(bucket.take(5, 0)).toBe(0);
  });
});
