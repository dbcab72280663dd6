import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batches, maxBytes, maxRows } from "./batches.js";
import { seed } from "../../test/support/seed.js";

fc.configureGlobal({ seed });

describe("batches", () => {
  it("hold every row once, in order, within the bounds; a larger row goes alone", () => {
    const size = fc.oneof(fc.nat(2_000), fc.integer({ min: maxBytes / 4, max: maxBytes * 2 }));
    fc.assert(
      fc.property(fc.array(size, { maxLength: 1_500 }), (sizes) => {
        const cut = [...batches(sizes, (row) => row)];

        expect(cut.flat()).toEqual(sizes);
        for (const batch of cut) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(maxRows);
          const bytes = batch.reduce((sum, row) => sum + row, 0);
          expect(bytes <= maxBytes || batch.length === 1).toBe(true);
        }
      }),
    );
  });

  it("are as few as that allows", () => {
    expect(
      [
        ...batches(
          Array.from({ length: 1_001 }, () => 1),
          (row) => row,
        ),
      ].map((batch) => batch.length),
    ).toEqual([500, 500, 1]);
  });
});
