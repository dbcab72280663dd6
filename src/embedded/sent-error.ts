import { type ErrorCode, type ErrorData, HoldfastError } from "../core/errors.js";

/** An error on its way to another thread, where it loses its class. */
export interface SentError {
  readonly code: ErrorCode;
  readonly data: ErrorData<ErrorCode>;
  readonly cause: unknown;
}

export const sentError = ({ code, data, cause }: HoldfastError): SentError => ({ code, data, cause });

export function receivedError({ code, data, cause }: SentError): HoldfastError {
  return new HoldfastError(code, data, cause === undefined ? {} : { cause });
}
