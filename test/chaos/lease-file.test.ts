import { describeLeases } from "./lease.js";

describeLeases("a file");
