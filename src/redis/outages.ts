import { type OutageRecord, outageRecordFrom } from "../broker/outage.js";
import { storedJson } from "../core/stored-json.js";
import { outagesKey } from "./keys.js";
import { type Caller, LinkError } from "./link.js";

/** The newest are kept, of all processes together; each takes about 700 bytes. */
const most = 2_000;
/** Nobody waits for a record to be written. */
const patience = { timeoutMs: 2_000, insist: false };

/** Ids are ordered by time, so the oldest ones go when there are too many. */
export async function writeOutages(link: Caller, records: readonly OutageRecord[], missing: boolean): Promise<void> {
  const written = records.map((record) => ({
    name: missing ? "HSETNX" : "HSET",
    args: [outagesKey, record.id, JSON.stringify(record)],
  }));
  const replies = await link.run([...written, { name: "HLEN", args: [outagesKey] }], patience);
  const failed = replies.find((reply) => reply instanceof LinkError);
  if (failed !== undefined) throw failed.toError(link.label);
  if (Number(replies.at(-1)) <= most) return;
  const [ids] = await link.run([{ name: "HKEYS", args: [outagesKey] }], patience);
  const oldest = (Array.isArray(ids) ? ids.map(String) : []).toSorted().slice(0, -most);
  if (oldest.length > 0) await link.run([{ name: "HDEL", args: [outagesKey, ...oldest] }], patience);
}

/** Those that can be read. */
export async function readOutages(link: Caller): Promise<OutageRecord[]> {
  const [values] = await link.run([{ name: "HVALS", args: [outagesKey] }]);
  if (values instanceof LinkError) throw values.toError(link.label);
  return (Array.isArray(values) ? values : []).flatMap((value) => outageRecordFrom(storedJson(String(value))) ?? []);
}
