import { HoldfastError } from "../../src/core/errors.js";

declare const error: unknown;

// The code decides what the data is.
if (HoldfastError.is(error, "TASK_NOT_FOUND")) {
  const id: string = error.data.id;
  // @ts-expect-error TASK_NOT_FOUND has no bytes
  const bytes = error.data.bytes;
}

// @ts-expect-error a code outside the table
new HoldfastError("OOPS", {});

// @ts-expect-error the data of TASK_NOT_FOUND names the queue, too
new HoldfastError("TASK_NOT_FOUND", { id: "1" });
