import type { Logger } from "../../src/core/log.js";

/** For tests in which what is logged is not what is tested. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
