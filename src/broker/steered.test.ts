import { expect, it } from "vitest";
import { uniqueKey } from "../core/message.js";
import { message } from "../../test/support/builders.js";
import { messageToRun, messageWithPayload } from "./steered.js";

const bytes = (text: string) => Buffer.from(text);

it.each([
  [{ maxRetry: 3, retried: 1 }, 1, 3],
  [{ maxRetry: 3, retried: 3 }, 1, 3],
  [{ maxRetry: 3, retried: 3 }, 3, 5],
  [{ maxRetry: 0, retried: 0 }, 2, 1],
  // Somebody lowered it after some failures.
  [{ maxRetry: 0, retried: 4 }, 1, 4],
])("of %j, %i more runs need maxRetry %i", (fields, attempts, maxRetry) => {
  expect(messageToRun(message(fields), attempts).maxRetry).toBe(maxRetry);
});

it("takes a unique key along with the payload it stands for, and leaves any other as it is", () => {
  const keyOf = (payload: string | null) =>
    uniqueKey("default", "test:plain", payload === null ? null : bytes(payload));
  const after = (payload: string, key: string, next: string) =>
    messageWithPayload(message({ payload: bytes(payload), uniqueKey: key }), bytes(next)).uniqueKey;

  expect(after("old", keyOf("old"), "new")).toBe(keyOf("new"));
  expect(after("", keyOf(null), "new")).toBe(keyOf("new"));
  expect(after("", keyOf(""), "new")).toBe(keyOf("new"));
  expect(after("old", keyOf("old"), "")).toBe(keyOf(null));
  expect(after("old", "", "new")).toBe("");
  expect(after("old", "asynq:{default}:unique:of:another:kind", "new")).toBe("asynq:{default}:unique:of:another:kind");
});
