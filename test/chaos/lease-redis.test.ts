import { describeLeases } from "./lease.js";

describeLeases("Redis");
