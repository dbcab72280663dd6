// Made by scripts/build-lua.ts from lua/*.lua: change those.
import { type Argument, type ScriptCall, deadline } from "./link.js";
import { packedRows } from "./packed-rows.js";
import type { Script } from "./script.js";

export interface AdoptKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface AdoptHead {
  readonly nowMs: Argument;
  readonly keep: Argument;
  readonly beforeS: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export interface AdoptRow {
  readonly id: Argument;
  readonly diedS: Argument;
  readonly message: Argument;
  readonly lock: Argument;
  readonly known: Argument;
}

export const adoptScript: Script = {
  name: "adopt",
  sha1: "527350d96b1a5af49d0f083734493670164cfbcd",
  text: `-- Dead letters that were kept elsewhere come (back) to a queue, as they were. A row is id, when it died (s), message, its
-- unique lock, which is not taken, and what else is known of it: name and value, one after the other, packed.
-- Reply: a letter a row: a(dopted), e (there is a task of that id, or the trash holds one); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, keep, before_s, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- A Go peer's trim deletes dead letters past 9,999 or 90 days. So the oldest leave asynq's archive before that, at most
-- \`most\` at a time, with their scores; their hashes stay as they are. Answers how many.
local function move_aside(asynq, holdfast, keep, before_s, most)
  local archived = asynq .. "archived"
  local surplus = redis.call("ZCARD", archived) - keep
  local old = redis.call("ZCOUNT", archived, "-inf", before_s)
  local count = math.min(math.max(surplus, old), most)
  if count <= 0 then return 0 end
  local oldest = redis.call("ZRANGE", archived, 0, count - 1, "WITHSCORES")
  local entries = {}
  for n = 1, #oldest, 2 do
    entries[n], entries[n + 1] = oldest[n + 1], oldest[n]
  end
  redis.call("ZREMRANGEBYRANK", archived, 0, count - 1)
  redis.call("ZADD", holdfast .. "archived", unpack(entries))
  return count
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end

local archived = asynq .. "archived"
local problem = misfit(archived, "zset") or misfit(holdfast .. "archived", "zset") or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local letters, chosen, adopted, seen = {}, {}, {}, {}
for i = 1, #ROWS, 5 do
  local id, died_s, message, lock, known = unpack(ROWS, i, i + 4)
  local is_there = seen[id] or redis.call("EXISTS", asynq .. "t:" .. id, holdfast .. "trash:" .. id) > 0
  seen[id] = true
  letters[#letters + 1] = is_there and "e" or "a"
  if not is_there then chosen[#chosen + 1], adopted[#adopted + 1] = i, id end
end
if #chosen == 0 then return table.concat(letters) end

-- One after the other, each with its place: what stops this leaves no task that is nowhere. A call of Lua takes some 8,000
-- arguments.
for _, i in ipairs(chosen) do
  local id, died_s, message, lock, known = unpack(ROWS, i, i + 4)
  local fields = { "msg", message, "state", "archived" }
  if lock ~= "" then fields[5], fields[6] = "unique_key", lock end
  for _, word in ipairs(cmsgpack.unpack(known)) do fields[#fields + 1] = word end
  for from = 1, #fields, 2000 do
    redis.call("HSET", asynq .. "t:" .. id, unpack(fields, from, math.min(from + 1999, #fields)))
  end
  redis.call("ZADD", archived, died_s, id)
end
move_aside(asynq, holdfast, keep, before_s, #chosen + 50)
await_index(holdfast, adopted)
record(holdfast, now_ms, actor, reason, request, "import", cjson.encode(adopted), #adopted)
return table.concat(letters)
`,
};

export function adopt(keys: AdoptKeys, head: AdoptHead, rows: readonly AdoptRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.keep, head.beforeS, head.actor, head.reason, head.request];
  args.push(packedRows(rows, ["id", "diedS", "message", "lock", "known"]));
  return { script: adoptScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface AnnounceKeys {
  readonly server: string;
  readonly running: string;
}

export interface AnnounceHead {
  readonly info: Argument;
  readonly ttlS: Argument;
}

export interface AnnounceRow {
  readonly id: Argument;
  readonly task: Argument;
}

export const announceScript: Script = {
  name: "announce",
  sha1: "78aae1fb74696882db9e58a486717c130fcfa1ae",
  text: `-- Write what a worker says of itself, as asynq's servers do: a string, and a hash of the tasks it runs by their ids. Both
-- expire: who does not come again is gone.
-- Reply: nothing.
local server, running = unpack(KEYS)
local deadline_ms, info, ttl_s = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])

redis.call("UNLINK", running)
redis.call("SET", server, info, "EX", ttl_s)
local fields = {}
for i = 1, #ROWS, 2 do
  local id, task = unpack(ROWS, i, i + 1)
  fields[i], fields[i + 1] = id, task
end
if #fields > 0 then
  redis.call("HSET", running, unpack(fields))
  redis.call("EXPIRE", running, ttl_s)
end
`,
};

export function announce(keys: AnnounceKeys, head: AnnounceHead, rows: readonly AnnounceRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.info, head.ttlS];
  args.push(packedRows(rows, ["id", "task"]));
  return { script: announceScript, keys: [keys.server, keys.running], args };
}

export interface AppendActsKeys {
  readonly log: string;
}

export interface AppendActsHead {
  readonly nowMs: Argument;
}

export interface AppendActsRow {
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
  readonly verb: Argument;
  readonly what: Argument;
  readonly count: Argument;
}

export const appendActsScript: Script = {
  name: "append_acts",
  sha1: "3687d4f64385aac567a16896f3cdfffa82864777",
  text: `-- Append acts to a log that belongs to no queue.
-- Reply: "appended", or what is wrong with the key.
local log = unpack(KEYS)
local deadline_ms, now_ms = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local problem = misfit(log, "stream")
if problem then return problem end
-- A first write that needs no memory: then a server whose memory is full lets the others pass, too.
redis.call("XTRIM", log, "MAXLEN", "~", 10000)
for i = 1, #ROWS, 6 do
  local actor, reason, request, verb, what, count = unpack(ROWS, i, i + 5)
  record_in(log, now_ms, actor, reason, request, verb, what, count)
end
return "appended"
`,
};

export function appendActs(keys: AppendActsKeys, head: AppendActsHead, rows: readonly AppendActsRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs];
  args.push(packedRows(rows, ["actor", "reason", "request", "verb", "what", "count"]));
  return { script: appendActsScript, keys: [keys.log], args };
}

export interface BeatKeys {
  readonly set: string;
}

export interface BeatHead {
  readonly member: Argument;
  readonly untilS: Argument;
  readonly nowS: Argument;
  readonly goneS: Argument;
}

export const beatScript: Script = {
  name: "beat",
  sha1: "f9df93cf2c64b493b5789712016101833b27576a",
  text: `-- Enter a member in a set of those that live, by the time at which it expires, and take out those long gone.
-- Reply: how many live.
local set = unpack(KEYS)
local deadline_ms, member, until_s, now_s, gone_s = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end

redis.call("ZREMRANGEBYSCORE", set, "-inf", gone_s)
redis.call("ZADD", set, until_s, member)
return redis.call("ZCOUNT", set, now_s, "+inf")
`,
};

export function beat(keys: BeatKeys, head: BeatHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.member, head.untilS, head.nowS, head.goneS];
  return { script: beatScript, keys: [keys.set], args };
}

export interface CancelKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface CancelHead {
  readonly ids: Argument;
  readonly how: Argument;
  readonly channel: Argument;
  readonly nowMs: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const cancelScript: Script = {
  name: "cancel",
  sha1: "d8dbb38155a7fe298a32cd3ff421afaa32e29ee1",
  text: `-- Ask for active tasks of one queue to be aborted: a mark in the task's hash where a worker of ours holds it, which each
-- renewal of its lease reads, then the id on a channel that all workers hear.
-- Reply: a letter for each of \`ids\` (JSON), r(equested), a (not active), n(ot found); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, ids, how, channel, now_ms, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local lease, leases = asynq .. "lease", holdfast .. "leases"
local problem = misfit(lease, "zset") or misfit(leases, "hash") or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local receipts, active, ours = {}, {}, {}
for n, id in ipairs(cjson.decode(ids)) do
  local task = asynq .. "t:" .. id
  local message, state = unpack(redis.pcall("HMGET", task, "msg", "state"), 1, 2)
  if not message then
    receipts[n] = "n"
  elseif state ~= "active" then
    receipts[n] = "a"
  else
    receipts[n] = "r"
    active[#active + 1] = id
    -- A Go worker never reads the mark, nor takes it away: it would hit a later attempt.
    local score = redis.call("ZSCORE", lease, id)
    local held = score and redis.call("HGET", leases, id)
    if held and held:sub(-#score - 1) == ":" .. score then ours[#ours + 1] = task end
  end
end
if #active > 0 then
  for _, task in ipairs(ours) do redis.call("HSET", task, "hf_cancel", how) end
  record(holdfast, now_ms, actor, reason, request, "cancel " .. how, cjson.encode(active), #active)
  -- Who may not publish is heard at the next renewal.
  for _, id in ipairs(active) do redis.pcall("PUBLISH", channel, id) end
end
return table.concat(receipts)
`,
};

export function cancel(keys: CancelKeys, head: CancelHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.ids, head.how, head.channel, head.nowMs, head.actor, head.reason, head.request];
  return { script: cancelScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface CopyKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface CopyHead {
  readonly nowMs: Argument;
  readonly id: Argument;
  readonly act: Argument;
  readonly note: Argument;
  readonly most: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const copyScript: Script = {
  name: "copy",
  sha1: "5b2c5851530f6a3e98c088aac2d965a593f0d77b",
  text: `-- What a dead letter knows of its copies, in three steps (\`act\`): \`begin\` notes the one that is about to be made, \`done\`
-- that it was, \`refused\` that it was not, and forgets it. An act that comes again finds its own note.
-- Reply: "begun", "noted", "notFound", "wrongState", or { "known", the note of that request }, or { "problem", what is
-- wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, id, act, note, most, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local task = asynq .. "t:" .. id
local found = redis.pcall("HMGET", task, "state", "hf_copies")
local state, stored = unpack(found, 1, 2)
if not state then return "notFound" end
local problem = misfit(holdfast .. "audit", "stream")
if problem then return { "problem", problem } end

-- Anyone may have written there.
local readable, copies = pcall(cjson.decode, stored or "[]")
if not readable or type(copies) ~= "table" then copies = {} end
local kept, mine = {}, nil
for _, copy in ipairs(copies) do
  if type(copy) == "table" then
    kept[#kept + 1] = copy
    if copy.request == request then mine = #kept end
  end
end

if act == "begin" then
  if mine then return { "known", cjson.encode(kept[mine]) } end
  if state ~= "archived" then return "wrongState" end
  while #kept >= tonumber(most) do table.remove(kept, 1) end
  kept[#kept + 1] = cjson.decode(note)
elseif not mine then
  return "notFound"
elseif act == "done" then
  kept[mine].done = true
else
  table.remove(kept, mine)
end

-- Taken out first, because a server whose memory is full refuses HSET as a script's first write.
redis.call("HDEL", task, "hf_copies")
if #kept > 0 then redis.call("HSET", task, "hf_copies", cjson.encode(kept)) end
if act == "done" then return "noted" end
local verb = act == "begin" and "copy" or "copyRefused"
record(holdfast, now_ms, actor, reason, request, verb, cjson.encode({ id }), 1)
return act == "begin" and "begun" or "noted"
`,
};

export function copy(keys: CopyKeys, head: CopyHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.id, head.act, head.note, head.most, head.actor, head.reason, head.request];
  return { script: copyScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface CountOutcomesKeys {
  readonly outcomes: string;
}

export interface CountOutcomesHead {
  readonly most: Argument;
}

export interface CountOutcomesRow {
  readonly field: Argument;
  readonly other: Argument;
  readonly count: Argument;
}

export const countOutcomesScript: Script = {
  name: "count-outcomes",
  sha1: "9e5770fe6b1e17ec153fc977f95618479d23e2eb",
  text: `-- What became of attempts: adds to counters of one queue. Beyond \`most\` fields a new one is counted as the other that each
-- row names.
-- Reply: how many were counted under another name.
local outcomes = unpack(KEYS)
local deadline_ms, most = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end

local problem = misfit(outcomes, "hash")
if problem then return redis.error_reply("WRONGTYPE " .. problem) end

local room = tonumber(most) - redis.call("HLEN", outcomes)
local moved = 0
for i = 1, #ROWS, 3 do
  local field, other, count = unpack(ROWS, i, i + 2)
  if redis.call("HEXISTS", outcomes, field) == 0 then
    if room > 0 then
      room = room - 1
    else
      field = other
      moved = moved + 1
    end
  end
  -- Another program may have written what is no number there: it is the one that is not counted.
  local counted = redis.pcall("HINCRBY", outcomes, field, count)
  if type(counted) == "table" and counted.err and counted.err:match("OOM") then return counted end
end
return moved
`,
};

export function countOutcomes(keys: CountOutcomesKeys, head: CountOutcomesHead, rows: readonly CountOutcomesRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.most];
  args.push(packedRows(rows, ["field", "other", "count"]));
  return { script: countOutcomesScript, keys: [keys.outcomes], args };
}

export interface DeadCausesKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadCausesRow {
  readonly id: Argument;
  readonly score: Argument;
}

export const deadCausesScript: Script = {
  name: "dead-causes",
  sha1: "b76b5fe15e125dd0f845cde3b4f9b50edbe79f16",
  text: `-- The failure groups of some dead letters, as far as they hold now: one that asynq ran and archived again has another score
-- than the member, and one that got the id of another that is gone has no group. Writes nothing.
-- Reply, a row: the fingerprint, or "".
local asynq, holdfast = unpack(KEYS)
local deadline_ms = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])

local reply = {}
for i = 1, #ROWS, 2 do
  local id, score = unpack(ROWS, i, i + 1)
  local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
  local holds = type(fp) == "string" and redis.pcall("ZSCORE", holdfast .. "fp:" .. fp, id) == score
  reply[#reply + 1] = holds and fp or ""
end
return reply
`,
};

export function deadCauses(keys: DeadCausesKeys, _head: Record<never, never>, rows: readonly DeadCausesRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline];
  args.push(packedRows(rows, ["id", "score"]));
  return { script: deadCausesScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DeadChooseKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadChooseHead {
  readonly redrive: Argument;
  readonly dry: Argument;
  readonly mayOnce: Argument;
  readonly most: Argument;
}

export interface DeadChooseRow {
  readonly id: Argument;
  readonly atS: Argument;
}

export const deadChooseScript: Script = {
  name: "dead-choose",
  sha1: "4cd147328e708456eb8f6d849243822a2f9c3d81",
  text: `-- Choose dead letters of one queue for a redrive, or only say which could be (\`dry\`): each is written among those that are
-- left to move, by the time it became a dead letter, and its hash names the redrive. Repeating it changes nothing.
-- Reply: what is wrong with a key, for which nothing was written, or an answer a row: "+" chosen, "n" no such task, "w" no
-- dead letter, "o" it may have run (at most once), "r" another redrive has it, "b" redriven too often, "u" and the id that
-- holds its unique lock.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, redrive, dry, may_once, most = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- What a redrive keeps in a queue: what became of each task, those left to move, those that are awaited, and counts.
local function redrive_keys(holdfast, redrive)
  return holdfast .. "redrive:" .. redrive,
    holdfast .. "redrive-left:" .. redrive,
    holdfast .. "redrive-awaited:" .. redrive,
    holdfast .. "redrive-counts:" .. redrive
end

local function read_dead(asynq, id)
  local found = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "state", "unique_key", "hf_crashes", "hf_once", "hf_redrive", "hf_redrives", "hf_spool")
  local message, state, lock, crashes, once, redrive, redrives, spooled = unpack(found, 1, 8)
  return message
    and { message = message, state = state, lock = lock, crashes = crashes, once = once, redrive = redrive, redrives = redrives, spooled = spooled }
end

-- Whether another redrive, one that has not ended, has the task.
local function is_redriven(holdfast, redrive, id, task)
  if not task.redrive or task.redrive == redrive then return false end
  local _, left, awaited, counts = redrive_keys(holdfast, task.redrive)
  return redis.pcall("HEXISTS", counts, "ended") ~= 1 and (is_member(left, id) or is_member(awaited, id))
end

-- Why a task cannot be moved, as a letter; nil when it can.
local function wrong_with(asynq, holdfast, redrive, id, task, most)
  if not task or not task.state then return "n" end
  if task.state ~= "archived" or not is_in_place(asynq, holdfast, id, "archived") then return "w" end
  if is_redriven(holdfast, redrive, id, task) then return "r" end
  if (tonumber(task.redrives) or 0) >= tonumber(most) then return "b" end
  local holder = task.lock and task.lock ~= "" and redis.pcall("GET", task.lock)
  if type(holder) == "string" and holder ~= id then return "u" .. holder end
end

local marks, left, _, counts = redrive_keys(holdfast, redrive)
local problem = misfit(marks, "hash") or misfit(left, "zset") or misfit(counts, "hash")
if problem then return problem end

local reply, chosen, entries = {}, {}, {}
for i = 1, #ROWS, 2 do
  local id, at_s = unpack(ROWS, i, i + 1)
  local task = read_dead(asynq, id)
  local answer = wrong_with(asynq, holdfast, redrive, id, task, most)
  if not answer and task.once == "1" and may_once ~= "1" then answer = "o" end
  -- What has been moved is not dead any more, and is among the chosen all the same.
  if dry ~= "1" and redis.call("HEXISTS", marks, id) == 1 then
    answer = "+"
  elseif not answer then
    answer = "+"
    chosen[#chosen + 1] = id
    entries[#entries + 1], entries[#entries + 2] = at_s, id
  end
  reply[#reply + 1] = answer
end
if dry == "1" or #chosen == 0 then return reply end

for _, id in ipairs(chosen) do redis.call("HSET", asynq .. "t:" .. id, "hf_redrive", redrive) end
redis.call("ZADD", left, "NX", unpack(entries))
-- There from the beginning, so that a look at an empty redrive finds it.
redis.call("HSETNX", counts, "gone", 0)
-- Who asks late, when it is over, leaves nothing for good.
if redis.call("HEXISTS", counts, "ended") == 1 then
  local keep_ms = redis.call("PTTL", counts)
  if keep_ms > 0 then redis.call("PEXPIRE", left, keep_ms) end
end
return reply
`,
};

export function deadChoose(keys: DeadChooseKeys, head: DeadChooseHead, rows: readonly DeadChooseRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.redrive, head.dry, head.mayOnce, head.most];
  args.push(packedRows(rows, ["id", "atS"]));
  return { script: deadChooseScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DeadFreshKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadFreshHead {
  readonly nowMs: Argument;
  readonly limit: Argument;
  readonly maxBytes: Argument;
  readonly maxRead: Argument;
  readonly atOnce: Argument;
}

export const deadFreshScript: Script = {
  name: "dead-fresh",
  sha1: "b6d00e1bd6360059c650f5ea348676b9a3929bc5",
  text: `-- Dead letters that are in no failure group yet, taken out of the list in which they wait. The list is of our own: what
-- asynq archives is noticed as archives and groups having different sizes, and found by a walk, the newest first; so are
-- members of groups that asynq ran, deleted or trimmed. A walk goes a bounded step with each call, one a second; every ten
-- minutes it goes through all. Where as many went as came the sizes tell nothing: so the newest are looked at whenever they
-- are others than they were, a bounded number of them each second.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { notes, how many were looked at (\`limit\` where bytes were the bound), number, id, score, failure, message without its payload, … }; notes are
-- { number, "", problem, … }.
local deadline_ms, now_ms, limit, max_bytes, max_read, at_once = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- What scripts have to know of a stored message: protobuf fields 5 (the most retries), 6 (failures counted) and 10 (the
-- unique lock); nil when the bytes are no message. Of a repeated field the last one counts.
-- Source: https://protobuf.dev/programming-guides/encoding
local function read_varint(bytes, at)
  local value, scale = 0, 1
  for n = at, at + 9 do
    local byte = bytes:byte(n)
    if not byte then return end
    value = value + byte % 128 * scale
    if byte < 128 then return value, n + 1 end
    scale = scale * 128
  end
end

local function read_message(bytes)
  local found, at = {}, 1
  while at <= #bytes do
    local tag, value
    tag, at = read_varint(bytes, at)
    if not tag then return end
    local wire, number = tag % 8, math.floor(tag / 8)
    if wire == 0 then
      value, at = read_varint(bytes, at)
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      local length
      length, at = read_varint(bytes, at)
      if not length then return end
      if number == 10 then value = bytes:sub(at, at + length - 1) end
      at = at + length
    else
      return
    end
    if not at or at > #bytes + 1 then return end
    found[number] = value
  end
  return { most = found[5] or 0, failed = found[6] or 0, lock = found[10] or "" }
end

-- The message with another number of most retries, in a field appended.
local function with_retries(bytes, most)
  local field = { bytes, string.char(40) }
  repeat
    local low = most % 128
    most = (most - low) / 128
    field[#field + 1] = string.char(most > 0 and low + 128 or low)
  until most == 0
  return table.concat(field)
end

local left, looked = tonumber(limit), 0
-- For what is told, and for what has to be read for it: payloads are not told.
local room, unread = tonumber(max_bytes), tonumber(max_read)
local notes, reply = {}, {}
local full_ms, largest, most_groups = 600000, 16384, 200
-- How far the newest are looked through in a row, and by how many seconds clocks of other programs may differ.
local most_newest, skew_s = 5000, 10

-- The payload (2) goes, and what is large of fields that nobody knows; all else stays whole, however large: an error's end
-- may say that it is of no use to try again, and headers that cannot be read make a message that cannot be read.
local function without_payload(bytes)
  -- No message, to whoever reads it.
  local unreadable = "\\0"
  local parts, at = {}, 1
  while at <= #bytes do
    local from, tag = at, nil
    tag, at = read_varint(bytes, at)
    if not tag then return unreadable end
    local wire, length, _ = tag % 8, 0, nil
    if wire == 0 then
      _, at = read_varint(bytes, at)
      if not at then return unreadable end
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      length, at = read_varint(bytes, at)
      if not length then return unreadable end
      at = at + length
    else
      return unreadable
    end
    local number = math.floor(tag / 8)
    local goes = wire == 2 and (number == 2 or (number > 15 and number < 536870912 and length > largest))
    if not goes then parts[#parts + 1] = bytes:sub(from, at - 1) end
  end
  if at > #bytes + 1 then return unreadable end
  return table.concat(parts)
end

local function misfits(asynq, holdfast)
  return misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset") or misfit(holdfast .. "index", "hash")
    or misfit(holdfast .. "fps", "hash") or misfit(holdfast .. "unindexed", "list")
end

-- Each once. Answers whether it is a dead letter that was not told yet.
local told = {}
local function tell(number, asynq, holdfast, id)
  if told[holdfast .. id] then return false end
  local found = redis.pcall("HMGET", asynq .. "t:" .. id, "state", "msg", "hf_failure")
  if found.err or not found[2] then return false end
  unread = unread - #found[2]
  if found[1] ~= "archived" then return false end
  local score = redis.call("ZSCORE", asynq .. "archived", id) or redis.call("ZSCORE", holdfast .. "archived", id)
  if not score then return false end
  local message, failure = without_payload(found[2]), found[3] or ""
  room = room - #message - #failure
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] = number, id, score, failure, message
  told[holdfast .. id] = true
  return true
end

-- Of entries of an archive with their scores, those that are in no group, or died again since they came to one, are told.
-- Answers how many were looked at, and how many told.
local function tell_missing(number, asynq, holdfast, entries)
  local seen, found = 0, 0
  while 2 * seen < #entries and room > 0 and unread > 0 do
    local id, score = entries[2 * seen + 1], entries[2 * seen + 2]
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    local is_missing = type(fp) ~= "string" or redis.pcall("ZSCORE", holdfast .. "fp:" .. fp, id) ~= score
    if is_missing and tell(number, asynq, holdfast, id) then found = found + 1 end
    seen = seen + 1
  end
  return seen, found
end

-- Which are the newest: one that died again is in the last second, or among the last ones, for the first time. What a clock
-- ahead of ours has archived is not the newest until then: it would hide all others.
local function mark_of(archived)
  local first = redis.call("ZRANGE", archived, now_ms / 1000 + skew_s, "-inf", "BYSCORE", "REV", "LIMIT", 0, 1, "WITHSCORES")
  if #first == 0 then return "" end
  local since = first[2] - skew_s
  local at, near = redis.call("ZCOUNT", archived, first[2], "+inf"), redis.call("ZCOUNT", archived, since, "+inf")
  return table.concat({ since, at, near, first[1] }, " ")
end

-- Through the newest, down to those that were it when they were last looked through; half a step, for a walk through all
-- goes on beside it. \`known\` is the rank at which to go on, down to which score, and their mark when this look began.
local function tell_newest(number, asynq, holdfast, known)
  local archived = asynq .. "archived"
  local rank, since, mark = known:match("^(%d+) (%S+) (.*)$")
  rank, since = tonumber(rank) or 0, tonumber(since) or -math.huge
  if rank == 0 then
    local now = mark_of(archived)
    if now == (mark or "") then return end
    mark = now
  end
  local most = math.ceil(left / 2)
  local page = redis.call("ZRANGE", archived, rank, rank + most - 1, "REV", "WITHSCORES")
  while #page > 0 and tonumber(page[#page]) < since do page[#page], page[#page - 1] = nil, nil end
  local seen, found = tell_missing(number, asynq, holdfast, page)
  rank = rank + seen
  if 2 * seen == #page and (seen < most or rank >= most_newest) then
    rank, since = 0, mark:match("^%S+") or "-inf"
  end
  redis.call("HSET", holdfast .. "index", "newest", rank .. " " .. since .. " " .. mark, "next", now_ms + 1000)
  looked, left = looked + found, left - found
end

-- Through the archives, the newest first, by rank: what comes meanwhile makes it see some twice, what goes makes it miss
-- some until the next walk. Answers where to go on, and how many it told.
local function seek_missing(number, asynq, holdfast, rank)
  local key, first, near = asynq .. "archived", rank, redis.call("ZCARD", asynq .. "archived")
  if rank >= near then key, first = holdfast .. "archived", rank - near end
  local page = redis.call("ZRANGE", key, first, first + left - 1, "REV", "WITHSCORES")
  local seen, found = tell_missing(number, asynq, holdfast, page)
  looked, left = looked + seen, left - seen
  return seen > 0 and rank + seen or nil, found
end

-- Those of a page of a group that are no dead letters any more go, and those whose id is another dead letter's by now, in
-- another group or in none yet. Answers how many there are on it, and how many went.
local function drop_strays_of(asynq, holdfast, fp, rank, count)
  local key = holdfast .. "fp:" .. fp
  local ids = redis.pcall("ZRANGE", key, rank, rank + count - 1)
  if ids.err or #ids == 0 then return 0, 0 end
  local near, far = redis.call("ZMSCORE", asynq .. "archived", unpack(ids)), redis.call("ZMSCORE", holdfast .. "archived", unpack(ids))
  local strays = {}
  for n, id in ipairs(ids) do
    if not near[n] and not far[n] then
      strays[#strays + 1] = id
      redis.pcall("HDEL", asynq .. "t:" .. id, "hf_fp")
    elseif redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp") ~= fp then
      strays[#strays + 1] = id
    end
  end
  if #strays > 0 then
    redis.call("ZREM", key, unpack(strays))
    redis.call("HINCRBY", holdfast .. "index", "count", -#strays)
  end
  return #ids, #strays
end

-- Through the members of some groups. Answers where to go on, and how many went.
local function drop_strays(asynq, holdfast, fp, rank)
  local names = redis.call("HKEYS", holdfast .. "fps")
  table.sort(names)
  local at = 1
  while names[at] and names[at] < fp do at = at + 1 end
  if names[at] ~= fp then rank = 0 end
  local last, gone_all = at + most_groups, 0
  while names[at] and at < last and left > 0 do
    local wanted = left
    local count, gone = drop_strays_of(asynq, holdfast, names[at], rank, wanted)
    looked = looked + count
    left = left - count
    gone_all = gone_all + gone
    if count < wanted then at, rank = at + 1, 0 else rank = rank + count - gone end
  end
  return names[at], rank, gone_all
end

-- At the end of a walk all is counted; groups that have been empty for long are forgotten.
local function count_members(holdfast)
  local sum, week_s = 0, 604800
  local groups = redis.call("HGETALL", holdfast .. "fps")
  for n = 1, #groups, 2 do
    local members = redis.pcall("ZCARD", holdfast .. "fp:" .. groups[n])
    if type(members) == "number" then sum = sum + members end
    if members == 0 then
      local known, about = pcall(cjson.decode, groups[n + 1])
      local last = known and type(about) == "table" and tonumber(about.last) or 0
      if now_ms / 1000 - last > week_s or #groups > 2000 then redis.call("HDEL", holdfast .. "fps", groups[n]) end
    end
  end
  return sum
end

local function step(number, asynq, holdfast)
  local index = holdfast .. "index"
  local known = redis.call("HMGET", index, "count", "walk", "walked", "left", "next", "full", "began", "newest")
  local count, walk, walked, once_left, next_ms = tonumber(known[1]) or 0, known[2] or "", tonumber(known[3]), known[4], tonumber(known[5]) or 0
  local began, full = known[7] or "", tonumber(known[6]) or 0
  local waiting = redis.call("LLEN", holdfast .. "unindexed")
  local dead = redis.call("ZCARD", asynq .. "archived") + redis.call("ZCARD", holdfast .. "archived")
  if waiting > 0 then
    local ids = redis.call("LRANGE", holdfast .. "unindexed", -math.min(left, waiting), -1)
    local taken = 0
    while taken < #ids and room > 0 and unread > 0 do
      tell(number, asynq, holdfast, ids[#ids - taken])
      taken = taken + 1
    end
    redis.call("RPOP", holdfast .. "unindexed", taken)
    looked = looked + taken
    left = left - taken
  end
  if not walked and dead > 0 then
    redis.call("HSET", index, "walked", now_ms)
    walked = now_ms
  end
  if left <= 0 or room <= 0 or unread <= 0 or (at_once ~= "1" and now_ms < next_ms) then return end
  if full == 0 and dead + count > 0 and walked and now_ms - walked >= full_ms then full, walk = 1, "" end
  local off = dead - count - waiting
  local is_settled = off == 0 or (walk == "" and tostring(off) == once_left and began ~= "again")
  -- All that is ours has been told: what else is new there, asynq put there. A walk that begins sees the newest anyway.
  local begins = waiting == 0 and walk == "" and (full > 0 or (off > 0 and not is_settled))
  if not begins and redis.call("LLEN", holdfast .. "unindexed") == 0 then
    tell_newest(number, asynq, holdfast, known[8] or "")
  end
  -- What was just taken is in no group yet, and would be counted as missing.
  if waiting > 0 and full == 0 then return end
  if full == 0 and is_settled then
    if walk ~= "" then redis.call("HSET", index, "walk", "") end
    return
  end
  if left <= 0 or room <= 0 or unread <= 0 then return end
  -- Where there are too many members, strays alone are looked for first ("g"), and then what they have hidden.
  if walk == "" then
    walk, began = (full > 0 or off > 0) and "m 0" or "g  0", tostring(off)
  end
  local what, fp, rank = walk:match("^(%a) ?(.-) (%d+)$")
  local goes_on, changed
  if what == "m" then
    goes_on, changed = seek_missing(number, asynq, holdfast, tonumber(rank))
    walk = goes_on and "m " .. goes_on or "s  0"
  else
    fp, goes_on, changed = drop_strays(asynq, holdfast, fp or "", tonumber(rank) or 0)
    walk = fp and what .. " " .. fp .. " " .. goes_on or ""
  end
  if changed > 0 then began = "" end
  if walk == "" then
    count, full = count_members(holdfast), 0
    local rest = tostring(dead - count - waiting)
    -- What a whole walk did not mend waits for the next full one. Where it told or mended anything, or the rest is another
    -- than it was, more may have come behind it; not where the rest is the one before again: what was told of it can come to
    -- no group.
    began = (rest == began or rest == once_left) and "" or "again"
    redis.call("HSET", index, "count", count, "walked", now_ms, "left", rest)
  end
  redis.call("HSET", index, "walk", walk, "next", now_ms + 1000, "full", full, "began", began)
end

now_ms = tonumber(now_ms)
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  if left <= 0 or room <= 0 or unread <= 0 then break end
  local problem = misfits(asynq, holdfast)
  if problem then
    notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = (k + 1) / 2, "", problem
  else
    step((k + 1) / 2, asynq, holdfast)
  end
end
if room <= 0 or unread <= 0 then looked = math.max(looked, tonumber(limit)) end
return { notes, looked, unpack(reply) }
`,
};

export function deadFresh(keys: readonly DeadFreshKeys[], head: DeadFreshHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.limit, head.maxBytes, head.maxRead, head.atOnce];
  return { script: deadFreshScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface DeadGroupsKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadGroupsHead {
  readonly hourS: Argument;
  readonly beforeS: Argument;
}

export const deadGroupsScript: Script = {
  name: "dead-groups",
  sha1: "f0ee44f6a5653bd39bb270dbc32bb4d6746569ed",
  text: `-- The failure groups of a queue, with what is in them now. Writes nothing.
-- Reply: { how many dead letters, how many of them in groups, fingerprint, what is known of it (JSON), members, members since \`hour_s\`,
-- since \`before_s\`, score of the oldest, of the newest, … }; empty groups are told, too.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, hour_s, before_s = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end

local function number(...)
  local answer = redis.pcall(...)
  return type(answer) == "number" and answer or 0
end
local function score_at(key, rank)
  local entry = redis.pcall("ZRANGE", key, rank, rank, "WITHSCORES")
  return not entry.err and entry[2] or ""
end

local dead = number("ZCARD", asynq .. "archived") + number("ZCARD", holdfast .. "archived")
local reply = { dead, 0 }
local groups = redis.pcall("HGETALL", holdfast .. "fps")
if groups.err then return reply end
for n = 1, #groups, 2 do
  local key = holdfast .. "fp:" .. groups[n]
  local members = number("ZCARD", key)
  reply[2] = reply[2] + members
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3] = groups[n], groups[n + 1], members
  reply[at + 4], reply[at + 5] = number("ZCOUNT", key, hour_s, "+inf"), number("ZCOUNT", key, before_s, "+inf")
  reply[at + 6], reply[at + 7] = score_at(key, 0), score_at(key, -1)
end
return reply
`,
};

export function deadGroups(keys: DeadGroupsKeys, head: DeadGroupsHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.hourS, head.beforeS];
  return { script: deadGroupsScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DeadIndexKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadIndexHead {
  readonly maxGroups: Argument;
  readonly maxNames: Argument;
}

export interface DeadIndexRow {
  readonly id: Argument;
  readonly score: Argument;
  readonly fp: Argument;
  readonly about: Argument;
}

export const deadIndexScript: Script = {
  name: "dead-index",
  sha1: "ba837aaf871d4491ee562c65ffeef59c76dc76c2",
  text: `-- Dead letters come to their failure groups, if they still are what they were when they were looked at. \`about\` says, with
-- the first row of each group, what is known of its rows together, as JSON; it is merged into what the group has. Groups
-- past \`max_groups\` of a queue are one, whose fingerprint is all zeros.
-- Reply: what is wrong with a key, for which nothing was written, or how many came.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, max_groups, max_names = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end

local fps, index = holdfast .. "fps", holdfast .. "index"
local overflow = "v1:0000000000000000"
local problem = misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset") or misfit(fps, "hash")
  or misfit(index, "hash") or misfit(holdfast .. "fp:" .. overflow, "zset")
if problem then return problem end
-- Where something else stands in the place of one group, the others get theirs.
local letters, is_barred = {}, {}
for i = 1, #ROWS, 4 do
  local id, score, fp, about = unpack(ROWS, i, i + 3)
  if about ~= "" then is_barred[fp] = misfit(holdfast .. "fp:" .. fp, "zset") end
  if not is_barred[fp] then letters[#letters + 1] = { id = id, score = score, fp = fp, about = about } end
end

local function table_of(text)
  local known, value = pcall(cjson.decode, text or "")
  return known and type(value) == "table" and value or nil
end

-- The first one stays: it says where all began.
local function with_names(names, more)
  if type(names) ~= "table" then return more end
  local seen = {}
  for _, name in ipairs(names) do seen[name] = true end
  for _, name in ipairs(more or {}) do
    if not seen[name] then
      if #names >= tonumber(max_names) then table.remove(names, 2) end
      names[#names + 1] = name
      seen[name] = true
    end
  end
  return names
end

local function merge(fp, text)
  local more, known = table_of(text), table_of(redis.call("HGET", fps, fp))
  if known and more then
    if type(known.first) == "number" then more.first = math.min(known.first, more.first) end
    if type(known.last) == "number" and known.last > more.last then
      more.last = known.last
      more.sample = known.sample
    end
    more.types = with_names(known.types, more.types)
    more.reasons = with_names(known.reasons, more.reasons)
    more.builds = with_names(known.builds, more.builds)
  end
  redis.call("HSET", fps, fp, cjson.encode(more))
end

local home = {}
local function home_of(fp)
  if not home[fp] then
    local has_room = redis.call("HEXISTS", fps, fp) == 1 or redis.call("HLEN", fps) < tonumber(max_groups)
    home[fp] = has_room and fp or overflow
  end
  return home[fp]
end

local came, change = 0, 0
for _, letter in ipairs(letters) do
  local id, at = letter.id, home_of(letter.fp)
  if letter.about ~= "" then merge(at, letter.about) end
  local task = asynq .. "t:" .. id
  local found = redis.pcall("HMGET", task, "state", "hf_fp")
  local there = redis.call("ZSCORE", asynq .. "archived", id) or redis.call("ZSCORE", holdfast .. "archived", id)
  if found[1] == "archived" and there == letter.score then
    if found[2] and found[2] ~= at then
      local gone = redis.pcall("ZREM", holdfast .. "fp:" .. found[2], id)
      if gone == 1 then change = change - 1 end
    end
    redis.call("HSET", task, "hf_fp", at)
    change = change + redis.call("ZADD", holdfast .. "fp:" .. at, there, id)
    came = came + 1
  end
end
if change ~= 0 then redis.call("HINCRBY", index, "count", change) end
return came
`,
};

export function deadIndex(keys: DeadIndexKeys, head: DeadIndexHead, rows: readonly DeadIndexRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.maxGroups, head.maxNames];
  args.push(packedRows(rows, ["id", "score", "fp", "about"]));
  return { script: deadIndexScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DeadMoveKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadMoveHead {
  readonly nowMs: Argument;
  readonly nowNs: Argument;
  readonly redrive: Argument;
  readonly to: Argument;
  readonly dueS: Argument;
  readonly crashesLeft: Argument;
  readonly lookMs: Argument;
  readonly most: Argument;
  readonly horizonMs: Argument;
  readonly bucketMs: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
  readonly verb: Argument;
}

export interface DeadMoveRow {
  readonly id: Argument;
  readonly expected: Argument;
  readonly message: Argument;
  readonly mark: Argument;
}

export const deadMoveScript: Script = {
  name: "dead-move",
  sha1: "f984e982a536808e3976a8c9acc5f6dd355f2557",
  text: `-- Move dead letters of one queue: to pending, to scheduled (\`due_s\`), or out of the queue ("away", where another queue has
-- taken them). A row's \`expected\` is the message as it was read, and \`message\` what it becomes. For a redrive only what is
-- left to move is moved, and is marked and awaited in the same step: so each is moved once, however often this is called.
-- Reply: what is wrong with a key, for which nothing was written, or an answer a row: "+" moved, "d" not left to move (any
-- more), "c" its message has changed, and the letters of dead-choose.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, now_ns, redrive, to, due_s, crashes_left, look_ms, most, horizon_ms, bucket_ms, actor, reason, request, verb = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- What a redrive keeps in a queue: what became of each task, those left to move, those that are awaited, and counts.
local function redrive_keys(holdfast, redrive)
  return holdfast .. "redrive:" .. redrive,
    holdfast .. "redrive-left:" .. redrive,
    holdfast .. "redrive-awaited:" .. redrive,
    holdfast .. "redrive-counts:" .. redrive
end

local function read_dead(asynq, id)
  local found = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "state", "unique_key", "hf_crashes", "hf_once", "hf_redrive", "hf_redrives", "hf_spool")
  local message, state, lock, crashes, once, redrive, redrives, spooled = unpack(found, 1, 8)
  return message
    and { message = message, state = state, lock = lock, crashes = crashes, once = once, redrive = redrive, redrives = redrives, spooled = spooled }
end

-- Whether another redrive, one that has not ended, has the task.
local function is_redriven(holdfast, redrive, id, task)
  if not task.redrive or task.redrive == redrive then return false end
  local _, left, awaited, counts = redrive_keys(holdfast, task.redrive)
  return redis.pcall("HEXISTS", counts, "ended") ~= 1 and (is_member(left, id) or is_member(awaited, id))
end

-- Why a task cannot be moved, as a letter; nil when it can.
local function wrong_with(asynq, holdfast, redrive, id, task, most)
  if not task or not task.state then return "n" end
  if task.state ~= "archived" or not is_in_place(asynq, holdfast, id, "archived") then return "w" end
  if is_redriven(holdfast, redrive, id, task) then return "r" end
  if (tonumber(task.redrives) or 0) >= tonumber(most) then return "b" end
  local holder = task.lock and task.lock ~= "" and redis.pcall("GET", task.lock)
  if type(holder) == "string" and holder ~= id then return "u" .. holder end
end
-- How long ids of finished tasks are remembered, at least: those that came through a spool may come again much later.
local done_s, spooled_s = 180, 900
local longest_s = 604800

-- Ids with longer times may be in the same set.
local function keep_for(key, seconds)
  if seconds == done_s or redis.call("TTL", key) < seconds then redis.call("EXPIRE", key, seconds) end
end

-- What a task's hash, or its worker, says of that.
local function spooled_for(seconds)
  return math.min(math.max(spooled_s, math.floor(tonumber(seconds) or 0)), longest_s)
end
-- The time in an id of ours (a UUID version 7), Unix ms; nil for any other.
local function hexes(count)
  return ("[0-9a-f]"):rep(count)
end
local id_of_ours = "^" .. hexes(8) .. "%-" .. hexes(4) .. "%-7" .. hexes(3) .. "%-[89ab]" .. hexes(3) .. "%-" .. hexes(12) .. "$"
local function made_ms(id)
  return id:match(id_of_ours) and tonumber(id:sub(1, 8) .. id:sub(10, 13), 16)
end

-- An enqueue of tasks that are deleted may still be repeated: as settling does, where a task is deleted at once.
-- \`spooled\` says of those that came through a spool for how long.
local function remember(holdfast, ids, spooled)
  local done = {}
  for _, id in ipairs(ids) do
    local made = made_ms(id)
    if made and (spooled[id] or math.abs(now_ms - made) <= tonumber(horizon_ms)) then
      local bucket = string.format("%s%d", spooled[id] and "spooled:" or "done:", math.floor(made / bucket_ms))
      done[bucket] = done[bucket] or { keep_s = done_s }
      if spooled[id] then done[bucket].keep_s = math.max(done[bucket].keep_s, spooled_for(spooled[id])) end
      table.insert(done[bucket], id)
    end
  end
  for bucket, young in pairs(done) do
    local key = holdfast .. bucket
    if not misfit(key, "set") then
      redis.call("SADD", key, unpack(young))
      keep_for(key, young.keep_s)
    end
  end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end

local pending, scheduled = asynq .. "pending", asynq .. "scheduled"
local archived, aside = asynq .. "archived", holdfast .. "archived"
local marks, left, awaited, counts = redrive_keys(holdfast, redrive)
local problem = misfit(archived, "zset")
  or misfit(aside, "zset")
  or misfit(pending, "list")
  or misfit(scheduled, "zset")
  or misfit(holdfast .. "audit", "stream")
if redrive ~= "" then problem = problem or misfit(marks, "hash") or misfit(left, "zset") or misfit(awaited, "zset") or misfit(counts, "hash") end
if problem then return problem end

local reply, moving, seen = {}, {}, {}
for i = 1, #ROWS, 4 do
  local id, expected, message, mark = unpack(ROWS, i, i + 3)
  local answer
  if seen[id] or (redrive ~= "" and not is_member(left, id)) then
    answer = "d"
  else
    local task = read_dead(asynq, id)
    answer = wrong_with(asynq, holdfast, redrive, id, task, most)
    if not answer and task.message ~= expected then answer = "c" end
    if not answer then
      answer = "+"
      seen[id] = true
      moving[#moving + 1] = { id = id, task = task, message = message, mark = mark }
    end
  end
  reply[#reply + 1] = answer
end
if #moving == 0 then return reply end

local ids, later, looks, written, unlink, spooled = {}, {}, {}, {}, {}, {}
for n, one in ipairs(moving) do
  ids[n] = one.id
  later[2 * n - 1], later[2 * n] = due_s, one.id
  looks[2 * n - 1], looks[2 * n] = look_ms, one.id
  written[2 * n - 1], written[2 * n] = one.id, "moved " .. one.mark
end
-- What shrinks comes first, which a server whose memory is full lets pass, and with it the rest.
redis.call("ZREM", archived, unpack(ids))
redis.call("ZREM", aside, unpack(ids))
if redrive ~= "" then redis.call("ZREM", left, unpack(ids)) end
leave_groups(asynq, holdfast, ids)
for _, one in ipairs(moving) do
  local key = asynq .. "t:" .. one.id
  if to == "away" then
    spooled[one.id] = one.task.spooled
    unlink[#unlink + 1] = key
    if one.task.lock and redis.pcall("GET", one.task.lock) == one.id then unlink[#unlink + 1] = one.task.lock end
  else
    redis.call("HSET", key, "msg", one.message, "state", to, "hf_redrives", (tonumber(one.task.redrives) or 0) + 1)
    if to == "pending" then redis.call("HSET", key, "pending_since", now_ns) end
    if redrive ~= "" then redis.call("HSET", key, "hf_redrive", redrive) end
    -- As often as its attempts a task of which workers died may take another one down.
    if one.task.crashes and (tonumber(one.task.crashes) or 0) > tonumber(crashes_left) then
      if tonumber(crashes_left) > 0 then
        redis.call("HSET", key, "hf_crashes", crashes_left)
      else
        redis.call("HDEL", key, "hf_crashes")
      end
    end
  end
end
if to == "away" then
  redis.call("UNLINK", unpack(unlink))
  remember(holdfast, ids, spooled)
elseif to == "pending" then
  redis.call("LPUSH", pending, unpack(ids))
else
  redis.call("ZADD", scheduled, unpack(later))
end
if redrive ~= "" then
  redis.call("HSET", marks, unpack(written))
  redis.call("ZADD", awaited, unpack(looks))
end
record(holdfast, now_ms, actor, reason, request, verb, cjson.encode(ids), #ids)
return reply
`,
};

export function deadMove(keys: DeadMoveKeys, head: DeadMoveHead, rows: readonly DeadMoveRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.nowNs, head.redrive, head.to, head.dueS, head.crashesLeft, head.lookMs, head.most, head.horizonMs, head.bucketMs, head.actor, head.reason, head.request, head.verb];
  args.push(packedRows(rows, ["id", "expected", "message", "mark"]));
  return { script: deadMoveScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DeadNoteKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadNoteHead {
  readonly redrive: Argument;
  readonly round: Argument;
  readonly maxCauses: Argument;
}

export interface DeadNoteRow {
  readonly id: Argument;
  readonly became: Argument;
  readonly mark: Argument;
  readonly cause: Argument;
  readonly lookMs: Argument;
  readonly fix: Argument;
  readonly untilS: Argument;
  readonly expected: Argument;
  readonly message: Argument;
}

export const deadNoteScript: Script = {
  name: "dead-note",
  sha1: "82a5bd9690353bb40ceedc59db1aac3bba0d1dbd",
  text: `-- Note what became of tasks of a redrive, each once: "waiting" (to be looked at again at \`look_ms\`), "notMoved", or how it
-- ended. Ends are counted by their \`cause\`, too, as long as the redrive has not begun a later round; a new round counts
-- from nothing, and causes past \`max_causes\` are one. A row with a \`fix\` puts the task itself right, where it is in this
-- queue, if it is still as \`expected\`: a completed one that was only kept to be seen ends its retention at \`until_s\`
-- ("expire"), a dead letter or one that waits gets its own \`message\` back ("restore"). One that runs does not: whoever runs
-- it has the message in his hands, and writes that again.
-- Reply: what is wrong with a key, for which nothing was written, or the number of tasks noted as ended.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, redrive, round, max_causes = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- What a redrive keeps in a queue: what became of each task, those left to move, those that are awaited, and counts.
local function redrive_keys(holdfast, redrive)
  return holdfast .. "redrive:" .. redrive,
    holdfast .. "redrive-left:" .. redrive,
    holdfast .. "redrive-awaited:" .. redrive,
    holdfast .. "redrive-counts:" .. redrive
end

local function read_dead(asynq, id)
  local found = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "state", "unique_key", "hf_crashes", "hf_once", "hf_redrive", "hf_redrives", "hf_spool")
  local message, state, lock, crashes, once, redrive, redrives, spooled = unpack(found, 1, 8)
  return message
    and { message = message, state = state, lock = lock, crashes = crashes, once = once, redrive = redrive, redrives = redrives, spooled = spooled }
end

-- Whether another redrive, one that has not ended, has the task.
local function is_redriven(holdfast, redrive, id, task)
  if not task.redrive or task.redrive == redrive then return false end
  local _, left, awaited, counts = redrive_keys(holdfast, task.redrive)
  return redis.pcall("HEXISTS", counts, "ended") ~= 1 and (is_member(left, id) or is_member(awaited, id))
end

-- Why a task cannot be moved, as a letter; nil when it can.
local function wrong_with(asynq, holdfast, redrive, id, task, most)
  if not task or not task.state then return "n" end
  if task.state ~= "archived" or not is_in_place(asynq, holdfast, id, "archived") then return "w" end
  if is_redriven(holdfast, redrive, id, task) then return "r" end
  if (tonumber(task.redrives) or 0) >= tonumber(most) then return "b" end
  local holder = task.lock and task.lock ~= "" and redis.pcall("GET", task.lock)
  if type(holder) == "string" and holder ~= id then return "u" .. holder end
end

local marks, left, awaited, counts = redrive_keys(holdfast, redrive)
local completed = asynq .. "completed"
local problem = misfit(marks, "hash") or misfit(left, "zset") or misfit(awaited, "zset") or misfit(counts, "hash") or misfit(completed, "zset")
if problem then return problem end

local waits = { archived = true, pending = true, scheduled = true, retry = true, aggregating = true }
local function put_right(id, fix, until_s, expected, message)
  local key = asynq .. "t:" .. id
  local found = redis.pcall("HMGET", key, "state", "msg", "hf_redrive")
  local state, stored, by = found[1], found[2], found[3]
  -- In another queue than it was chosen in, its hash says nothing.
  if (by and by ~= redrive) or stored ~= expected then return end
  if fix == "expire" and state == "completed" then
    redis.call("ZADD", completed, "XX", until_s, id)
  elseif fix == "restore" and waits[state] then
    if state == "archived" then redis.call("HDEL", key, "hf_redrive") end
    redis.call("HSET", key, "msg", message)
  end
end

local counted_round, known
-- Most notes are of tasks that still wait: what is counted is looked at when the first one has ended.
local function begin_to_count()
  counted_round, known = tonumber(redis.call("HGET", counts, "round")) or 0, 0
  if tonumber(round) < counted_round then return end
  local old = {}
  for _, field in ipairs(redis.call("HKEYS", counts)) do
    if field:sub(1, 6) == "ended:" then known = known + 1 end
    if field:sub(1, 6) == "ended:" or field:sub(1, 7) == "failed:" then old[#old + 1] = field end
  end
  if tonumber(round) == counted_round then return end
  if #old > 0 then redis.call("HDEL", counts, unpack(old)) end
  redis.call("HSET", counts, "round", round)
  counted_round, known = tonumber(round), 0
end

local function count_cause(cause, became)
  if not counted_round then begin_to_count() end
  if tonumber(round) < counted_round then return end
  if redis.call("HEXISTS", counts, "ended:" .. cause) == 0 then
    if known >= tonumber(max_causes) then cause = "others" end
    known = known + 1
  end
  redis.call("HINCRBY", counts, "ended:" .. cause, 1)
  if became == "failedSame" or became == "failedOther" then redis.call("HINCRBY", counts, "failed:" .. cause, 1) end
end

local ended = 0
for i = 1, #ROWS, 9 do
  local id, became, mark, cause, look_ms, fix, until_s, expected, message = unpack(ROWS, i, i + 8)
  if became == "waiting" then
    redis.call("ZADD", awaited, "XX", look_ms, id)
  elseif became ~= "" then
    local was = became == "notMoved" and left or awaited
    if redis.call("ZREM", was, id) == 1 then
      redis.call("HSET", marks, id, became .. " " .. mark)
      redis.call("HINCRBY", counts, became, 1)
      if cause ~= "" then count_cause(cause, became) end
      ended = ended + 1
    end
  end
  if fix ~= "" then put_right(id, fix, until_s, expected, message) end
end
return ended
`,
};

export function deadNote(keys: DeadNoteKeys, head: DeadNoteHead, rows: readonly DeadNoteRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.redrive, head.round, head.maxCauses];
  args.push(packedRows(rows, ["id", "became", "mark", "cause", "lookMs", "fix", "untilS", "expected", "message"]));
  return { script: deadNoteScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DeadOldestKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DeadOldestHead {
  readonly limit: Argument;
  readonly asideId: Argument;
  readonly asideScore: Argument;
  readonly id: Argument;
  readonly score: Argument;
}

export const deadOldestScript: Script = {
  name: "dead-oldest",
  sha1: "8f768c465d07c0c7f80b526583ecb369ffdf2421",
  text: `-- The oldest dead letter of a queue that nobody has acknowledged. Looks at \`limit\` of each of its two archives, behind a place.
-- Writes nothing.
-- Reply, for each archive: when the first such one died, or ""; id and score of the last one before it that was looked at, or
-- of the place; 1 where there may be more behind it; how many there are from it on, or that were not looked at.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, limit, aside_id, aside_score, id, score = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end

local function rank_behind(key, place_id, place_score)
  if place_score == "" then return 0 end
  if redis.pcall("ZSCORE", key, place_id) == place_score then return redis.pcall("ZRANK", key, place_id) + 1 end
  -- It is gone, or died anew: those of its second are looked at again.
  local before = redis.pcall("ZCOUNT", key, "-inf", "(" .. place_score)
  return type(before) == "number" and before or 0
end

-- What is in the archive alone, and is no dead letter, is nobody's business.
local function waits(letter, died_s)
  local state, ack = unpack(redis.pcall("HMGET", asynq .. "t:" .. letter, "state", "hf_ack"), 1, 2)
  if state ~= "archived" then return false end
  local known, mark = pcall(cjson.decode, ack or "")
  local stands = known
    and type(mark) == "table"
    and type(mark.at) == "number"
    and type(mark.actor) == "string"
    and mark.at >= died_s * 1000
  return not stands
end

local reply = {}
local function look(key, place_id, place_score)
  local from = rank_behind(key, place_id, place_score)
  local entries = redis.pcall("ZRANGE", key, from, from + limit - 1, "WITHSCORES")
  if entries.err then entries = {} end
  local found, passed = "", from
  for n = 1, #entries, 2 do
    if waits(entries[n], tonumber(entries[n + 1])) then
      found = entries[n + 1]
      break
    end
    place_id, place_score = entries[n], entries[n + 1]
    passed = passed + 1
  end
  local size = redis.pcall("ZCARD", key)
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3] = found, place_id, place_score
  reply[at + 4] = #entries == 2 * limit and 1 or 0
  reply[at + 5] = type(size) == "number" and math.max(0, size - passed) or 0
end
look(holdfast .. "archived", aside_id, aside_score)
look(asynq .. "archived", id, score)
return reply
`,
};

export function deadOldest(keys: DeadOldestKeys, head: DeadOldestHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.limit, head.asideId, head.asideScore, head.id, head.score];
  return { script: deadOldestScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DiscardKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DiscardHead {
  readonly nowS: Argument;
  readonly nowMs: Argument;
  readonly untilS: Argument;
  readonly ids: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const discardScript: Script = {
  name: "discard",
  sha1: "e67c59cd6f0b92d3a0984a5858230bc79a97dae3",
  text: `-- Dead letters of one queue into its trash, out of which they come back until \`until_s\`. Their unique locks are released;
-- how long they would have held is noted, for the way back.
-- Reply: a letter an id: d(iscarded), n(ot found), w(rong state), t(aken: the trash holds another task of that id); or
-- { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, until_s, ids, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- A letter for each id of a JSON list, in order; \`seen\` has those of the ids before.
local function letters_for(ids, seen, letter_of)
  local letters = {}
  for n, id in ipairs(cjson.decode(ids)) do
    letters[n] = letter_of(id)
    seen[id] = letters[n]
  end
  return table.concat(letters)
end
-- What scripts have to know of a stored message: protobuf fields 5 (the most retries), 6 (failures counted) and 10 (the
-- unique lock); nil when the bytes are no message. Of a repeated field the last one counts.
-- Source: https://protobuf.dev/programming-guides/encoding
local function read_varint(bytes, at)
  local value, scale = 0, 1
  for n = at, at + 9 do
    local byte = bytes:byte(n)
    if not byte then return end
    value = value + byte % 128 * scale
    if byte < 128 then return value, n + 1 end
    scale = scale * 128
  end
end

local function read_message(bytes)
  local found, at = {}, 1
  while at <= #bytes do
    local tag, value
    tag, at = read_varint(bytes, at)
    if not tag then return end
    local wire, number = tag % 8, math.floor(tag / 8)
    if wire == 0 then
      value, at = read_varint(bytes, at)
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      local length
      length, at = read_varint(bytes, at)
      if not length then return end
      if number == 10 then value = bytes:sub(at, at + length - 1) end
      at = at + length
    else
      return
    end
    if not at or at > #bytes + 1 then return end
    found[number] = value
  end
  return { most = found[5] or 0, failed = found[6] or 0, lock = found[10] or "" }
end

-- The message with another number of most retries, in a field appended.
local function with_retries(bytes, most)
  local field = { bytes, string.char(40) }
  repeat
    local low = most % 128
    most = (most - low) / 128
    field[#field + 1] = string.char(most > 0 and low + 128 or low)
  until most == 0
  return table.concat(field)
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end

local tasks, trash, trashed = asynq .. "t:", holdfast .. "trash", holdfast .. "trash:"
local archived, aside = asynq .. "archived", holdfast .. "archived"
local problem = misfit(archived, "zset") or misfit(aside, "zset") or misfit(trash, "zset")
  or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local chosen, moved, seen = {}, {}, {}

-- The lock, where this task holds it, and until when (ms).
local function lock_of(id, message, unique_key)
  local lock = unique_key or (read_message(message) or {}).lock
  if not lock or lock:sub(1, #asynq + 7) ~= asynq .. "unique:" or redis.pcall("GET", lock) ~= id then return end
  local left_ms = redis.call("PTTL", lock)
  return lock, left_ms > 0 and now_ms + left_ms or 0
end

local function letter_of(id)
  if seen[id] then return seen[id] == "d" and "n" or seen[id] end
  local found = redis.pcall("HMGET", tasks .. id, "msg", "state", "unique_key")
  local message, state, unique_key = unpack(found, 1, 3)
  if not message or not state then return "n" end
  if state ~= "archived" or is_member(asynq .. "lease", id) then return "w" end
  if redis.call("EXISTS", trashed .. id) == 1 then return "t" end
  local lock, lock_until = lock_of(id, message, unique_key)
  local score = redis.call("ZSCORE", archived, id) or redis.call("ZSCORE", aside, id) or now_s
  chosen[#chosen + 1] = { id = id, lock = lock, lock_until = lock_until or 0, score = score }
  moved[#moved + 1] = id
  return "d"
end
local letters = letters_for(ids, seen, letter_of)
if #chosen == 0 then return letters end

-- What shrinks comes first, which a server whose memory is full lets pass, and with it the rest.
redis.call("ZREM", archived, unpack(moved))
redis.call("ZREM", aside, unpack(moved))
leave_groups(asynq, holdfast, moved)
local entries = {}
for n, task in ipairs(chosen) do
  if task.lock then redis.call("UNLINK", task.lock) end
  local key = trashed .. task.id
  redis.call("RENAME", tasks .. task.id, key)
  local mark = { archived = task.score, lock = string.format("%.0f", task.lock_until), at = now_ms, actor = actor, reason = reason }
  redis.call("HSET", key, "hf_trash", cjson.encode(mark))
  entries[2 * n - 1], entries[2 * n] = until_s, task.id
end
redis.call("ZADD", trash, unpack(entries))
record(holdfast, now_ms, actor, reason, request, "discard", cjson.encode(moved), #moved)
return letters
`,
};

export function discard(keys: DiscardKeys, head: DiscardHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowMs, head.untilS, head.ids, head.actor, head.reason, head.request];
  return { script: discardScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface DocumentKeys {
  readonly documents: string;
}

export interface DocumentHead {
  readonly nowMs: Argument;
  readonly most: Argument;
}

export interface DocumentRow {
  readonly id: Argument;
  readonly ifVersion: Argument;
  readonly text: Argument;
}

export const documentScript: Script = {
  name: "document",
  sha1: "b9861035a3dad18a4694998a4b37b8115acb3b04",
  text: `-- Small JSON documents, each changed only where it still has the version that its writer read ("0": there is none).
-- Stored as "version text". An empty text deletes.
-- Reply: an answer a row: the new version, "c" it has another one, "f" there are \`most\` already.
local documents = unpack(KEYS)
local deadline_ms, now_ms, most = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end

local problem = misfit(documents, "hash")
if problem then return redis.error_reply("WRONGTYPE " .. problem) end

-- What shrinks comes first: after that, a server whose memory is full lets the rest pass, too.
redis.call("HDEL", documents, "")
local room = tonumber(most) - redis.call("HLEN", documents)
local reply = {}
for i = 1, #ROWS, 3 do
  local id, if_version, text = unpack(ROWS, i, i + 2)
  local stored = redis.call("HGET", documents, id)
  local version = stored and (stored:match("^(%d+) ") or "1") or "0"
  if version ~= if_version then
    reply[#reply + 1] = "c"
  elseif not stored and text ~= "" and room <= 0 then
    reply[#reply + 1] = "f"
  else
    local next_version = string.format("%.0f", math.max(tonumber(now_ms), tonumber(version) + 1))
    if text ~= "" then
      redis.call("HSET", documents, id, next_version .. " " .. text)
      if not stored then room = room - 1 end
    elseif stored then
      redis.call("HDEL", documents, id)
      room = room + 1
    end
    reply[#reply + 1] = next_version
  end
end
return reply
`,
};

export function document(keys: DocumentKeys, head: DocumentHead, rows: readonly DocumentRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.most];
  args.push(packedRows(rows, ["id", "ifVersion", "text"]));
  return { script: documentScript, keys: [keys.documents], args };
}

export interface DropKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface DropHead {
  readonly nowS: Argument;
  readonly nowMs: Argument;
  readonly force: Argument;
  readonly limit: Argument;
  readonly others: Argument;
  readonly pattern: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const dropScript: Script = {
  name: "drop",
  sha1: "428954d5b1670965f678eaec36e60a58a32d9e1c",
  text: `-- Remove a queue bit by bit: at most \`limit\` of its tasks, and when there are none, whatever else has its name. Nothing
-- knows those keys, so the key space is walked, a little with each call; \`drop\` remembers how far. Until the end the queue
-- is paused. A key of another type than it should be holds no tasks, and goes with the rest.
-- Reply: "dropped", "more", "notEmpty" or "active".
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, force, limit, others, pattern, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local function number(...)
  local answer = redis.pcall(...)
  return type(answer) == "number" and answer or 0
end
local function list_of(...)
  local answer = redis.pcall(...)
  return type(answer) == "table" and not answer.err and answer or {}
end

local recordable = not misfit(holdfast .. "audit", "stream")
if number("LLEN", asynq .. "active") + number("ZCARD", asynq .. "lease") > 0 then return "active" end

local sets = { asynq .. "scheduled", asynq .. "retry", asynq .. "archived", holdfast .. "archived", asynq .. "completed" }
for _, group in ipairs(list_of("SRANDMEMBER", asynq .. "groups", 500)) do sets[#sets + 1] = asynq .. "g:" .. group end
-- What is being aggregated: keys that asynq keeps in full.
for _, key in ipairs(list_of("ZRANGE", asynq .. "aggregation_sets", 0, 499)) do
  if key:sub(1, #asynq + 2) == asynq .. "g:" then sets[#sets + 1] = key end
end

if force ~= "1" then
  local tasks = number("LLEN", asynq .. "pending")
  for _, set in ipairs(sets) do tasks = tasks + number("ZCARD", set) end
  -- What was discarded may still be restored.
  tasks = tasks + number("ZCARD", holdfast .. "trash")
  if tasks > 0 then return "notEmpty" end
end

local progress = holdfast .. "drop"
local walk = redis.pcall("GET", progress)
-- A first write that needs no memory: then a server whose memory is full lets the others pass, too.
redis.call("UNLINK", holdfast .. "pause")
if type(walk) ~= "string" then
  if redis.call("EXISTS", asynq .. "paused") == 0 then redis.call("SET", asynq .. "paused", now_s) end
  redis.call("UNLINK", progress)
  redis.call("SET", progress, "begun")
  if recordable then record(holdfast, now_ms, actor, reason, request, "drop", "", 0) end
end
local since = redis.pcall("GET", asynq .. "paused")
if type(since) ~= "string" then since = now_s end
redis.call("HSET", holdfast .. "pause", "since", since, "actor", actor, "reason", reason, "request", request)

local left = tonumber(limit)
local function delete(ids)
  left = left - #ids
  local unlink = {}
  for _, id in ipairs(ids) do
    local task = asynq .. "t:" .. id
    unlink[#unlink + 1] = task
    local lock = redis.pcall("HGET", task, "unique_key")
    if type(lock) == "string" and lock:sub(1, #asynq + 7) == asynq .. "unique:" and redis.pcall("GET", lock) == id then
      unlink[#unlink + 1] = lock
    end
  end
  if #unlink > 0 then redis.call("UNLINK", unpack(unlink)) end
end

local waiting = list_of("LRANGE", asynq .. "pending", -left, -1)
if #waiting > 0 then redis.call("LTRIM", asynq .. "pending", 0, -#waiting - 1) end
delete(waiting)
for _, set in ipairs(sets) do
  local ids = left > 0 and list_of("ZRANGE", set, 0, left - 1) or {}
  if #ids > 0 then redis.call("ZREM", set, unpack(ids)) end
  delete(ids)
  if redis.call("EXISTS", set) == 0 then redis.pcall("ZREM", asynq .. "aggregation_sets", set) end
end
if left > 0 then
  local ids, keys = list_of("ZRANGE", holdfast .. "trash", 0, left - 1), {}
  for n, id in ipairs(ids) do keys[n] = holdfast .. "trash:" .. id end
  if #ids > 0 then
    redis.call("ZREM", holdfast .. "trash", unpack(ids))
    redis.call("UNLINK", unpack(keys))
  end
  left = left - #ids
end
if left == 0 then return "more" end

local function begins(key, start)
  return key:sub(1, #start) == start
end
local theirs = cjson.decode(others)
local function is_of_queue(key)
  for _, name in ipairs(theirs) do
    if begins(key, "asynq:{" .. name .. "}:") or begins(key, "holdfast:{" .. name .. "}:") then return false end
  end
  return begins(key, asynq) or begins(key, holdfast)
end
local page = redis.pcall("SCAN", tonumber(walk) and walk or "0", "MATCH", pattern, "COUNT", 5000)
-- A user who may not walk leaves what asynq's own tools leave, too.
if page.err then page = { "0", {} } end
local needed = { [progress] = true, [asynq .. "paused"] = true, [holdfast .. "pause"] = true }
for _, key in ipairs(page[2]) do
  if is_of_queue(key) and not needed[key] then redis.call("UNLINK", key) end
end
if page[1] ~= "0" then
  redis.call("SET", progress, page[1])
  return "more"
end
-- Nothing is left but what came after the walk had passed by.
for _, name in ipairs({ "paused", "groups", "aggregation_sets" }) do redis.call("UNLINK", asynq .. name) end
for _, name in ipairs({ "drop", "pause", "audit", "broken", "standstill", "outcomes", "unindexed", "fps", "index" }) do redis.call("UNLINK", holdfast .. name) end
return "dropped"
`,
};

export function drop(keys: DropKeys, head: DropHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowMs, head.force, head.limit, head.others, head.pattern, head.actor, head.reason, head.request];
  return { script: dropScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface EnqueueKeys {
  readonly asynq: string;
  readonly holdfast: string;
  readonly queues: string;
}

export interface EnqueueHead {
  readonly queue: Argument;
  readonly nowNs: Argument;
}

export interface EnqueueRow {
  readonly id: Argument;
  readonly message: Argument;
  readonly special: Argument;
}

export const enqueueScript: Script = {
  name: "enqueue",
  sha1: "088cfdc432c661ac8515deeaae79595028e60073",
  text: `-- Put tasks of one queue where they belong: pending, or scheduled.
-- With a queue named it is entered among all queues; where the key of those is elsewhere (a Cluster) it is "".
-- A row is id, message and what is special about it: "" or "due,lock for,once,again,made,lock", times in seconds; \`again\` is 1 for
-- a repeat, more for one that a spool may repeat for so many seconds after it has finished.
-- Reply: an answer a row, or one for all where they are the same: "+" and the task's state, "d" and the id that holds the
-- unique lock, "t" when the id is taken, "!" and what is wrong with a key that is in the way.
local asynq, holdfast, queues = unpack(KEYS)
local deadline_ms, queue, now_ns = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- Somebody works on the storage, and nothing is taken meanwhile.
local standstill = redis.pcall("GET", holdfast .. "standstill")
if type(standstill) == "string" then
  local until_ms, why = standstill:match("^(%d+)\\t%d+\\t[^\\t]*\\t(.*)$")
  if until_ms and tonumber(until_ms) * 1000000 > tonumber(now_ns) then
    return redis.error_reply("MAINTENANCE " .. until_ms .. " " .. why)
  end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end

local pending, scheduled = asynq .. "pending", asynq .. "scheduled"
local reply = {}
local ready, later = {}, {}

-- The answer for a task that is there already, or has lately been. An id of ours (its time, \`made\`, is known) is nobody
-- else's: it was there before. Any other id may be used again and by others: there only the same bytes are the same task.
local function is_among(set, id)
  return redis.pcall("SISMEMBER", holdfast .. set, id) == 1
end
local function answer_again(task, id, message, made, spooled)
  if redis.call("EXISTS", task) == 0 then
    local done = made ~= "" and (is_among("done:" .. made, id) or (spooled and is_among("spooled:" .. made, id)))
    return done and "+completed" or nil
  end
  local found = redis.pcall("HMGET", task, "state", "msg")
  local state, stored = found[1], found[2]
  if not state or (made == "" and stored ~= message) then return "t" end
  -- It may have come before it was spooled.
  if spooled then redis.call("HSET", task, "hf_spool", spooled) end
  return "+" .. state
end

-- Nearly always nobody has any of the ids: to ask that once, for all of them, spares each a claim of its own.
local tasks = {}
for n = 1, #ROWS / 3 do tasks[n] = asynq .. "t:" .. ROWS[n * 3 - 2] end
local unclaimed = redis.call("EXISTS", unpack(tasks)) == 0
local claimed_here = {}

-- 1, or 0 where somebody has the id, or the error of a write that was refused.
local function claim(task, message)
  if unclaimed and not claimed_here[task] then return 1 end
  return redis.pcall("HSETNX", task, "msg", message)
end

-- What is wrong with keys that rows share, looked at for the first that needs them.
local shared = {}
local function misfit_for(set, kind)
  if shared[set] == nil then shared[set] = misfit(queues, "set") or misfit(set, kind) or false end
  return shared[set]
end

-- Whole or not at all. Answers an error where no write is taken.
local function put(task, id, message, special)
  local due_s, lock_s, once, again, made, lock = "0", "0", "0", "0", "", ""
  if special ~= "" then
    due_s, lock_s, once, again, made, lock = special:match("^(%d+),(%d+),(%d),(%d+),(%d*),(.*)$")
  end
  local problem
  if due_s == "0" then problem = misfit_for(pending, "list") else problem = misfit_for(scheduled, "zset") end
  local holder = lock ~= "" and redis.pcall("GET", lock)
  if type(holder) == "table" then problem = misfit(lock, "string") end
  if problem then return "!" .. problem end
  local answer = again ~= "0" and answer_again(task, id, message, made, again ~= "1" and again)
  if answer then return answer end
  if holder and not (again ~= "0" and holder == id) then return "d" .. holder end

  local written = claim(task, message)
  if written == 0 then return "t" end
  local state = due_s == "0" and "pending" or "scheduled"
  if written == 1 then
    local fields = { "msg", message, "state", state }
    if due_s == "0" then
      fields[5], fields[6] = "pending_since", now_ns
      ready[#ready + 1] = id
    else
      later[#later + 1], later[#later + 2] = due_s, id
    end
    if lock ~= "" then
      fields[#fields + 1], fields[#fields + 2] = "unique_key", lock
    end
    if once == "1" then
      fields[#fields + 1], fields[#fields + 2] = "hf_once", "1"
    end
    if again ~= "0" and again ~= "1" then
      fields[#fields + 1], fields[#fields + 2] = "hf_spool", again
    end
    written = redis.pcall("HSET", task, unpack(fields))
    claimed_here[task] = true
    if lock ~= "" and type(written) ~= "table" then redis.call("SET", lock, id, "EX", lock_s) end
  end
  if type(written) ~= "table" then return "+" .. state end
  return written.err:find("^WRONGTYPE") and "t" or written
end

-- The same for nearly all tasks, which are new, ready and nothing special: all that is asked above costs a fifth of a call.
local function put_plain(task, id, message)
  local written = redis.pcall("HSET", task, "msg", message, "state", "pending", "pending_since", now_ns)
  if type(written) == "table" then return written end
  claimed_here[task] = true
  ready[#ready + 1] = id
  return "+pending"
end

local fit = not misfit_for(pending, "list")
for i = 1, #ROWS, 3 do
  local id, message, special = unpack(ROWS, i, i + 2)
  local n = (i + 2) / 3
  local task = tasks[n]
  local plain = special == "" and unclaimed and fit and not claimed_here[task]
  local answer = plain and put_plain(task, id, message) or put(task, id, message, special)
  -- Memory is full, or this server takes no writes: true of the first write or of none.
  if type(answer) == "table" then return answer end
  reply[n] = answer
end

if #ready > 0 then redis.call("LPUSH", pending, unpack(ready)) end
if #later > 0 then redis.call("ZADD", scheduled, unpack(later)) end
if #ready + #later > 0 and queue ~= "" then redis.call("SADD", queues, queue) end
for i = 2, #reply do
  if reply[i] ~= reply[1] then return reply end
end
return reply[1]
`,
};

export function enqueue(keys: EnqueueKeys, head: EnqueueHead, rows: readonly EnqueueRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.queue, head.nowNs];
  args.push(packedRows(rows, ["id", "message", "special"]));
  return { script: enqueueScript, keys: [keys.asynq, keys.holdfast, keys.queues], args };
}

export interface EvictKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface EvictHead {
  readonly nowMs: Argument;
  readonly horizonMs: Argument;
  readonly bucketMs: Argument;
  readonly cause: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export interface EvictRow {
  readonly id: Argument;
  readonly diedS: Argument;
  readonly digest: Argument;
}

export const evictScript: Script = {
  name: "evict",
  sha1: "5841c2bd988db76d0e219b471ee67c2bdf4b881d",
  text: `-- Deletes dead letters of one queue that are still what their caller has seen: dead since that second, with that message.
-- Their unique locks are released. What goes is counted by its cause, and recorded.
-- Reply: a letter a row: e(victed), n(ot found: no dead letter any more), c(hanged); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, horizon_ms, bucket_ms, cause, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- What scripts have to know of a stored message: protobuf fields 5 (the most retries), 6 (failures counted) and 10 (the
-- unique lock); nil when the bytes are no message. Of a repeated field the last one counts.
-- Source: https://protobuf.dev/programming-guides/encoding
local function read_varint(bytes, at)
  local value, scale = 0, 1
  for n = at, at + 9 do
    local byte = bytes:byte(n)
    if not byte then return end
    value = value + byte % 128 * scale
    if byte < 128 then return value, n + 1 end
    scale = scale * 128
  end
end

local function read_message(bytes)
  local found, at = {}, 1
  while at <= #bytes do
    local tag, value
    tag, at = read_varint(bytes, at)
    if not tag then return end
    local wire, number = tag % 8, math.floor(tag / 8)
    if wire == 0 then
      value, at = read_varint(bytes, at)
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      local length
      length, at = read_varint(bytes, at)
      if not length then return end
      if number == 10 then value = bytes:sub(at, at + length - 1) end
      at = at + length
    else
      return
    end
    if not at or at > #bytes + 1 then return end
    found[number] = value
  end
  return { most = found[5] or 0, failed = found[6] or 0, lock = found[10] or "" }
end

-- The message with another number of most retries, in a field appended.
local function with_retries(bytes, most)
  local field = { bytes, string.char(40) }
  repeat
    local low = most % 128
    most = (most - low) / 128
    field[#field + 1] = string.char(most > 0 and low + 128 or low)
  until most == 0
  return table.concat(field)
end
-- How long ids of finished tasks are remembered, at least: those that came through a spool may come again much later.
local done_s, spooled_s = 180, 900
local longest_s = 604800

-- Ids with longer times may be in the same set.
local function keep_for(key, seconds)
  if seconds == done_s or redis.call("TTL", key) < seconds then redis.call("EXPIRE", key, seconds) end
end

-- What a task's hash, or its worker, says of that.
local function spooled_for(seconds)
  return math.min(math.max(spooled_s, math.floor(tonumber(seconds) or 0)), longest_s)
end
-- The time in an id of ours (a UUID version 7), Unix ms; nil for any other.
local function hexes(count)
  return ("[0-9a-f]"):rep(count)
end
local id_of_ours = "^" .. hexes(8) .. "%-" .. hexes(4) .. "%-7" .. hexes(3) .. "%-[89ab]" .. hexes(3) .. "%-" .. hexes(12) .. "$"
local function made_ms(id)
  return id:match(id_of_ours) and tonumber(id:sub(1, 8) .. id:sub(10, 13), 16)
end

-- An enqueue of tasks that are deleted may still be repeated: as settling does, where a task is deleted at once.
-- \`spooled\` says of those that came through a spool for how long.
local function remember(holdfast, ids, spooled)
  local done = {}
  for _, id in ipairs(ids) do
    local made = made_ms(id)
    if made and (spooled[id] or math.abs(now_ms - made) <= tonumber(horizon_ms)) then
      local bucket = string.format("%s%d", spooled[id] and "spooled:" or "done:", math.floor(made / bucket_ms))
      done[bucket] = done[bucket] or { keep_s = done_s }
      if spooled[id] then done[bucket].keep_s = math.max(done[bucket].keep_s, spooled_for(spooled[id])) end
      table.insert(done[bucket], id)
    end
  end
  for bucket, young in pairs(done) do
    local key = holdfast .. bucket
    if not misfit(key, "set") then
      redis.call("SADD", key, unpack(young))
      keep_for(key, young.keep_s)
    end
  end
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local archived, aside = asynq .. "archived", holdfast .. "archived"
local problem = misfit(archived, "zset") or misfit(aside, "zset") or misfit(holdfast .. "evicted", "hash")
  or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local receipts, ids, unlink, spooled, seen = {}, {}, {}, {}, {}
for i = 1, #ROWS, 3 do
  local id, died_s, digest = unpack(ROWS, i, i + 2)
  local task = asynq .. "t:" .. id
  local found = redis.pcall("HMGET", task, "msg", "state", "unique_key", "hf_spool")
  local message, state, lock = found[1], found[2], found[3]
  local score = tonumber(redis.call("ZSCORE", archived, id) or redis.call("ZSCORE", aside, id))
  local receipt = "e"
  if not message or state ~= "archived" or not score or seen[id] then
    receipt = "n"
  elseif math.ceil(score) ~= tonumber(died_s) or redis.sha1hex(message) ~= digest then
    receipt = "c"
  else
    seen[id] = true
    spooled[id] = found[4]
    ids[#ids + 1], unlink[#unlink + 1] = id, task
    lock = lock or (read_message(message) or {}).lock
    if lock and lock:sub(1, #asynq + 7) == asynq .. "unique:" and redis.pcall("GET", lock) == id then
      unlink[#unlink + 1] = lock
    end
  end
  receipts[#receipts + 1] = receipt
end

if #ids > 0 then
  -- What shrinks comes first: after that, a server whose memory is full lets the rest pass, too.
  redis.call("ZREM", archived, unpack(ids))
  redis.call("ZREM", aside, unpack(ids))
  leave_groups(asynq, holdfast, ids)
  redis.call("UNLINK", unpack(unlink))
  remember(holdfast, ids, spooled)
  redis.pcall("HINCRBY", holdfast .. "evicted", cause, #ids)
  record(holdfast, now_ms, actor, reason, request, cause:sub(1, 5) == "spill" and "spill" or "evict", cjson.encode(ids), #ids)
end
return table.concat(receipts)
`,
};

export function evict(keys: EvictKeys, head: EvictHead, rows: readonly EvictRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.horizonMs, head.bucketMs, head.cause, head.actor, head.reason, head.request];
  args.push(packedRows(rows, ["id", "diedS", "digest"]));
  return { script: evictScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface ExchangeKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface ExchangeHead {
  readonly nowS: Argument;
  readonly nowNs: Argument;
  readonly day: Argument;
  readonly keepUntilS: Argument;
  readonly bucket: Argument;
  readonly keep: Argument;
  readonly beforeS: Argument;
  readonly worker: Argument;
  readonly token: Argument;
  readonly untilS: Argument;
  readonly limit: Argument;
  readonly startable: Argument;
  readonly limits: Argument;
  readonly suspects: Argument;
  readonly maxCrashes: Argument;
  readonly leaseQueues: Argument;
  readonly maxBytes: Argument;
  readonly goneGroups: Argument;
}

export interface ExchangeRow {
  readonly number: Argument;
  readonly id: Argument;
  readonly held: Argument;
  readonly move: Argument;
  readonly message: Argument;
  readonly score: Argument;
  readonly lock: Argument;
  readonly detail: Argument;
  readonly made: Argument;
}

export const exchangeScript: Script = {
  name: "exchange",
  sha1: "3825d639124638e0350b4e8afbc366b0d30bf839",
  text: `-- Settle what is finished, then lease what comes next: the hot path, in one trip.
-- KEYS: the two prefixes of each queue. The first \`lease_queues\` of them are leased from, in that order; a row says by
-- number which queue is its own.
-- A row moves its task to: "gone", "completed", "retry", "returned" (to retry, but no failure), "archived", "released".
-- Most tasks just go: those without a lock need no row, they come in \`gone_groups\` that share what a row would say of
-- each, as JSON: [[number, held, made, [id, …]], …].
-- Reply: { receipts, notes, more, dry, paused, sizes, bytes, rest }. A receipt is a letter, for each id of the groups
-- and then for each row: s(ettled), l(ost), b(roken: there is no task to write to), w(rong: a key is in the way, nothing was written for this queue).
-- Notes are { number, id or "", problem, … }: tasks and queues that were set aside or passed over. \`more\` is 1 when a queue
-- may hold more that could be leased: an answer's bound was met, or tasks were set aside. \`dry\` are the numbers, with
-- commas, of queues looked at that hold no more, \`paused\` of those that are paused. What was leased is two strings, for a
-- list of them is dear to take apart: \`sizes\`, "number id message" for each task with the lengths of its id and message,
-- and \`bytes\`, ids and messages one after the other. \`rest\` is { which of them, crashes, returns, once, spooled, … } for those of
-- which there is more to say.
-- Of what is leased the first \`startable\` start at once, the others wait in the worker; \`limits\` is one for each queue that
-- is leased from, as JSON, or "".
local deadline_ms, now_s, now_ns, day, keep_until_s, bucket, keep, before_s, worker, token, until_s, limit, startable, limits, suspects, max_crashes, lease_queues, max_bytes, gone_groups = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
local largest = "9223372036854775807"
local smallest = "-9223372036854775808"

-- What is wrong with a counter, in words that name it; nil when it can be added to.
local function uncountable(key)
  local problem = misfit(key, "string")
  if problem then return problem end
  local value = redis.call("GET", key)
  if not value or value == "0" then return end
  local digits = value:match("^%-?([1-9]%d*)$")
  if not digits or #digits > 19 or (#digits == 19 and digits > largest and value ~= smallest) then
    return key .. " does not hold a count"
  end
end

-- Adds as asynq does: after the largest number comes 1. Answers the sum, and whether it started again.
local function add(key, count)
  local value = redis.call("GET", key)
  if not value or #value < 19 then return redis.call("INCRBY", key, count), false end
  local again = false
  for _ = 1, count do
    if redis.call("GET", key) == largest then
      redis.call("SET", key, 1)
      again = true
    else
      redis.call("INCR", key)
    end
  end
  return 0, again
end

-- The counters that \`tally\` may add to, and what is wrong with another, in words that name it. They are statistics: what
-- stands in the way of one keeps it from counting, and no task from its place.
local function countable(asynq, day, failed)
  local counters, problem = {}, nil
  for _, name in ipairs(failed > 0 and { "processed", "failed" } or { "processed" }) do
    for _, key in ipairs({ asynq .. name, asynq .. name .. ":" .. day }) do
      local wrong = uncountable(key)
      counters[key] = not wrong
      problem = problem or wrong
    end
  end
  return counters, problem
end

-- Counts attempts, \`failed\` of them failures: in all, and on this (UTC) day, where that is \`countable\`.
local function tally(asynq, day, keep_until_s, processed, failed, counters)
  if processed == 0 then return end
  local function add_today(name, count)
    local key = asynq .. name .. ":" .. day
    if counters[key] and add(key, count) == count then redis.call("EXPIREAT", key, keep_until_s) end
  end
  add_today("processed", processed)
  local again = false
  if counters[asynq .. "processed"] then
    local _
    _, again = add(asynq .. "processed", processed)
  end
  if failed == 0 then return end
  add_today("failed", failed)
  if not counters[asynq .. "failed"] then return end
  if again then
    redis.call("SET", asynq .. "failed", failed)
  else
    add(asynq .. "failed", failed)
  end
end
-- A Go peer's trim deletes dead letters past 9,999 or 90 days. So the oldest leave asynq's archive before that, at most
-- \`most\` at a time, with their scores; their hashes stay as they are. Answers how many.
local function move_aside(asynq, holdfast, keep, before_s, most)
  local archived = asynq .. "archived"
  local surplus = redis.call("ZCARD", archived) - keep
  local old = redis.call("ZCOUNT", archived, "-inf", before_s)
  local count = math.min(math.max(surplus, old), most)
  if count <= 0 then return 0 end
  local oldest = redis.call("ZRANGE", archived, 0, count - 1, "WITHSCORES")
  local entries = {}
  for n = 1, #oldest, 2 do
    entries[n], entries[n + 1] = oldest[n + 1], oldest[n]
  end
  redis.call("ZREMRANGEBYRANK", archived, 0, count - 1)
  redis.call("ZADD", holdfast .. "archived", unpack(entries))
  return count
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end
-- What the hash of leases holds for a task: the token, and the score with which the lease was written. More than 64
-- bytes, so that Redis keeps the hash as a table: in a listpack, as small values are kept, every look walks the leases.
local function holder(token, score)
  return string.format("%-64s:%s", token, score)
end

-- Writes leases: \`entries\` is { score, id, … }. Redis keeps a small sorted set as a listpack, too, and walks it for each
-- entry: ten times the work at a hundred leases. One long member makes a table of it, which it stays when that is gone.
local long_member = string.rep("-", 65)
local function write_leases(lease, entries)
  if redis.call("EXISTS", lease) == 0 then
    redis.call("ZADD", lease, entries[1], long_member)
    redis.call("ZADD", lease, unpack(entries))
    redis.call("ZREM", lease, long_member)
  else
    redis.call("ZADD", lease, unpack(entries))
  end
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- How long ids of finished tasks are remembered, at least: those that came through a spool may come again much later.
local done_s, spooled_s = 180, 900
local longest_s = 604800

-- Ids with longer times may be in the same set.
local function keep_for(key, seconds)
  if seconds == done_s or redis.call("TTL", key) < seconds then redis.call("EXPIRE", key, seconds) end
end

-- What a task's hash, or its worker, says of that.
local function spooled_for(seconds)
  return math.min(math.max(spooled_s, math.floor(tonumber(seconds) or 0)), longest_s)
end
-- Earlier failures of a task are lines of \`hf_history\`, the newest last: at most 10, and 16 KiB. What \`hf_failure\` holds goes
-- there before it is written anew. Answers the new history; nil where it stays as it is, as when a task is given back for the
-- reason it was given back for before.
local function history_with_last(task, failure, given_back)
  local last, history = unpack(redis.pcall("HMGET", task, "hf_failure", "hf_history"), 1, 2)
  if not last or #last > 16384 or last:find("\\n", 1, true) then return end
  local reason = '^{"reason":"[a-z_]+"'
  if given_back and last:match(reason) == failure:match(reason) then return end
  -- Longer than we write it, it is not ours.
  if not history or history == "" or #history > 16384 then return last end
  local lines = history .. "\\n" .. last
  local count, at = 1, lines:find("\\n", 1, true)
  while at do count, at = count + 1, lines:find("\\n", at + 1, true) end
  while count > 10 or #lines > 16384 do
    lines, count = lines:sub(lines:find("\\n", 1, true) + 1), count - 1
  end
  return lines
end

local notes = {}
local function note(number, id, problem)
  notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = number, id, problem
end

local queues = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  queues[#queues + 1] = {
    number = #queues + 1, asynq = asynq, holdfast = holdfast, tasks = asynq .. "t:",
    pending = asynq .. "pending", active = asynq .. "active", lease = asynq .. "lease", leases = holdfast .. "leases",
    ids = {}, held = {}, made = {}, rows = {}, at = {},
  }
end

-- Where a finished id is remembered, and how long: one that came through a spool ("s…") may come again much later.
local function done_key(holdfast, made)
  local bucket, keep_s = made:match("^s(%d+)/?(%d*)$")
  if bucket then return holdfast .. "spooled:" .. bucket, spooled_for(keep_s) end
  return holdfast .. "done:" .. made, done_s
end

-- What is wrong with the keys that every settling and leasing writes.
local function misfits(queue)
  return misfit(queue.active, "list") or misfit(queue.lease, "zset") or misfit(queue.leases, "hash")
end

-- Settle ------------------------------------------------------------------------------------------------------------

local receipts = {}
local wrong = false
local finished = 0
local function finish(queue, id, held, made, row)
  finished = finished + 1
  local n = #queue.ids + 1
  queue.ids[n], queue.held[n], queue.made[n], queue.rows[n], queue.at[n] = id, held, made, row, finished
end
for _, group in ipairs(cjson.decode(gone_groups)) do
  local number, held, made, ids = unpack(group)
  for _, id in ipairs(ids) do finish(queues[number], id, held, made, false) end
end
for i = 1, #ROWS, 9 do
  local number, id, held, move, message, score, lock, detail, made = unpack(ROWS, i, i + 8)
  finish(queues[tonumber(number)], id, held, made, i)
end

local processed_by = { gone = 1, completed = 1, retry = 1, archived = 1, returned = 0, released = 0 }
local failed_by = { gone = 0, completed = 0, retry = 1, archived = 1, returned = 0, released = 0 }
local target_of = { completed = "completed", retry = "retry", returned = "retry", archived = "archived" }

-- Looks at all that is to be settled: fills \`plan\` with what is to be written, and answers what is wrong with a key, if anything is.
local function examine(queue, plan)
  local problem = misfits(queue)
  if problem then return problem end
  local tokens = redis.call("HMGET", queue.leases, unpack(queue.ids))
  local scores = redis.call("ZMSCORE", queue.lease, unpack(queue.ids))
  local seen, moves = {}, {}
  -- Neighbours were mostly leased together: their holder is made once.
  local held, score, expected
  for n, id in ipairs(queue.ids) do
    local at, i = queue.at[n], queue.rows[n]
    if queue.held[n] ~= held or scores[n] ~= score then
      held, score = queue.held[n], scores[n]
      expected = score and holder(held, score)
    end
    if not score or tokens[n] ~= expected or seen[id] then
      receipts[at] = "l"
    else
      local move, message, lock = "gone", "", ""
      if i then
        local _
        _, _, _, move, message, _, lock = unpack(ROWS, i, i + 8)
      end
      local made = queue.made[n]
      seen[id] = true
      receipts[at] = "s"
      plan.ids[#plan.ids + 1] = id
      if move == "gone" then
        plan.unlink[#plan.unlink + 1] = queue.tasks .. id
        if made ~= "" then
          local done = plan.done[made] or {}
          plan.done[made] = done
          done[#done + 1] = id
        end
      else
        local found = redis.call("TYPE", queue.tasks .. id).ok
        if found == "hash" or (found == "none" and message ~= "") then
          plan.kept[#plan.kept + 1] = i
        else
          move = "broken"
          receipts[at] = "b"
          plan.broken[#plan.broken + 1] = id
          note(queue.number, id, found == "none" and "the task is gone" or queue.tasks .. id .. " is a " .. found .. ", not a hash")
        end
      end
      if lock ~= "" and redis.pcall("GET", lock) == id then plan.unlink[#plan.unlink + 1] = lock end
      moves[move] = true
      plan.processed = plan.processed + (processed_by[move] or 0)
      plan.failed = plan.failed + (failed_by[move] or 0)
    end
  end
  for move, target in pairs(target_of) do
    if moves[move] then problem = problem or misfit(queue.asynq .. target, "zset") end
  end
  if moves.archived then problem = problem or misfit(queue.holdfast .. "archived", "zset") end
  if moves.released then problem = problem or misfit(queue.pending, "list") end
  if moves.broken then problem = problem or misfit(queue.holdfast .. "broken", "list") end
  for made in pairs(plan.done) do problem = problem or misfit(done_key(queue.holdfast, made), "set") end
  if plan.processed > 0 then plan.counters = countable(queue.asynq, day, plan.failed) end
  return problem
end

-- The tasks that stay, each in its new place.
local function keep_tasks(queue, plan)
  local entries = { completed = {}, retry = {}, archived = {} }
  local front, dead = {}, {}
  for _, i in ipairs(plan.kept) do
    local _, id, _, move, message, score, _, detail = unpack(ROWS, i, i + 8)
    local task = queue.tasks .. id
    local fields = {}
    if message ~= "" then fields = { "msg", message } end
    if move == "completed" then
      fields[#fields + 1], fields[#fields + 2] = "state", "completed"
      if detail ~= "" then fields[#fields + 1], fields[#fields + 2] = "result", detail end
    elseif move == "released" then
      fields[#fields + 1], fields[#fields + 2] = "state", "pending"
      fields[#fields + 1], fields[#fields + 2] = "pending_since", now_ns
      table.insert(front, 1, id)
    else
      fields[#fields + 1], fields[#fields + 2] = "state", target_of[move]
      local history = history_with_last(task, detail, move == "returned")
      fields[#fields + 1], fields[#fields + 2] = "hf_failure", detail
      if history then fields[#fields + 1], fields[#fields + 2] = "hf_history", history end
    end
    redis.call("HSET", task, unpack(fields))
    if move == "completed" then
      redis.call("HDEL", task, "hf_failure", "hf_history", "hf_cancel", "hf_progress")
    elseif move ~= "released" then
      redis.call("HDEL", task, "hf_cancel", "hf_progress")
    end
    -- What never started is as if it had not been leased: its detail is "".
    if detail ~= "" and (move == "returned" or move == "released") then
      local returns = redis.pcall("HINCRBY", task, "hf_returns", 1)
      -- What was there may be no number, or one that would never come to its bound.
      if type(returns) ~= "number" or returns < 1 then redis.call("HSET", task, "hf_returns", 1) end
    end
    if move == "archived" then dead[#dead + 1] = id end
    local list = entries[target_of[move]]
    if list then list[#list + 1], list[#list + 2] = score, id end
  end
  for target, list in pairs(entries) do
    if #list > 0 then redis.call("ZADD", queue.asynq .. target, unpack(list)) end
  end
  -- The first that was leased is the first to run again.
  if #front > 0 then redis.call("RPUSH", queue.pending, unpack(front)) end
  if #entries.archived > 0 then
    move_aside(queue.asynq, queue.holdfast, keep, before_s, #entries.archived + 50)
    await_index(queue.holdfast, dead)
  end
end

local function settle(queue)
  local plan = { ids = {}, unlink = {}, kept = {}, broken = {}, done = {}, processed = 0, failed = 0 }
  local problem = examine(queue, plan)
  if problem then
    wrong = true
    note(queue.number, "", problem)
    for _, at in ipairs(queue.at) do receipts[at] = "w" end
    return
  end
  if #plan.ids == 0 then return end
  -- What shrinks comes first: after that, a server whose memory is full lets the rest pass too.
  for _, id in ipairs(plan.ids) do redis.call("LREM", queue.active, "-1", id) end
  redis.call("ZREM", queue.lease, unpack(plan.ids))
  redis.call("HDEL", queue.leases, unpack(plan.ids))
  if #plan.unlink > 0 then redis.call("UNLINK", unpack(plan.unlink)) end
  if #plan.kept > 0 then keep_tasks(queue, plan) end
  if #plan.broken > 0 then redis.call("LPUSH", queue.holdfast .. "broken", unpack(plan.broken)) end
  for made, ids in pairs(plan.done) do
    local key, keep_s = done_key(queue.holdfast, made)
    redis.call("SADD", key, unpack(ids))
    keep_for(key, keep_s)
  end
  -- Expiry would free such a set while everyone waits; UNLINK frees it beside.
  if next(plan.done) then redis.call("UNLINK", queue.holdfast .. "done:" .. bucket - 13) end
  tally(queue.asynq, day, keep_until_s, plan.processed, plan.failed, plan.counters)
end

for _, queue in ipairs(queues) do
  if #queue.ids > 0 then settle(queue) end
end

-- Lease -------------------------------------------------------------------------------------------------------------

-- How far from the tail of pending others are looked for behind suspects that must wait.
local furthest = 2000

local reply = { table.concat(receipts), notes, 0, "", "", "", "", {} }
local sizes, parts, rest, given = {}, {}, reply[8], {}
local wanted, may_start = tonumber(limit), tonumber(startable)
local most_of = limits ~= "" and cjson.decode(limits) or {}
local dry, paused = {}, {}
local bytes = 0
-- A task that may not crash once more runs alone: nothing else is leased in its turn.
local alone = false
max_bytes, suspects, lease_queues, max_crashes = tonumber(max_bytes), tonumber(suspects), tonumber(lease_queues), tonumber(max_crashes)

local function may_hold_more()
  reply[3] = 1
end

local function give(queue, id, task)
  local message, crashes, returns, once, _, spooled = unpack(task, 1, 6)
  local n = #parts
  parts[n + 1], parts[n + 2] = id, message
  sizes[#sizes + 1] = string.format("%d %d %d", queue.number, #id, #message)
  if crashes or returns or once or spooled then
    for _, value in ipairs({ n / 2, crashes or "0", returns or "0", once or "", spooled or "" }) do rest[#rest + 1] = value end
  end
  given[n + 1], given[n + 2] = queue.number, id
  bytes = bytes + #message
  wanted, may_start = wanted - 1, may_start - 1
end

local function hold(queue, ids)
  local scores, holders, us = {}, {}, holder(token, until_s)
  for n, id in ipairs(ids) do
    scores[2 * n - 1], scores[2 * n] = until_s, id
    holders[2 * n - 1], holders[2 * n] = id, us
  end
  write_leases(queue.lease, scores)
  redis.call("HSET", queue.leases, unpack(holders))
end

-- Looks at a piece of pending in the order of running (from its tail), until enough are found. Strays are second entries
-- of a task that is held, or already chosen, or has its place in another state.
local function look(queue, window, found)
  for n = #window, 1, -1 do
    if found.left <= 0 or alone then break end
    local first = #given + #found.ids == 0
    if found.room <= 0 and not first then
      found.left = 0
      return may_hold_more()
    end
    local id = window[n]
    local task = redis.pcall("HMGET", queue.tasks .. id, "msg", "hf_crashes", "hf_returns", "hf_once", "state", "hf_spool")
    local message, crashes, _, once, state = unpack(task, 1, 5)
    local last_try = crashes and (tonumber(crashes) or 0) >= max_crashes - 1
    if found.chosen[id] or (message and state ~= "pending" and is_in_place(queue.asynq, queue.holdfast, id, state)) then
      found.strays[#found.strays + 1] = id
    elseif not message then
      found.broken[#found.broken + 1] = id
    elseif crashes and (suspects <= 0 or (last_try and not first)) then
      found.passed = true
    elseif (crashes or once) and #found.ids >= may_start then
      -- These are not leased ahead: of a task that waited in a worker which died, nobody could say that it never ran.
      -- Nor is anything else, from any queue: it would take the slots for which this one waits.
      found.left = 0
      wanted = math.min(wanted, #found.ids)
    else
      if crashes then
        suspects = suspects - 1
        -- Nothing is leased ahead beside it.
        found.left = math.min(found.left, may_start - #found.ids)
        wanted = math.min(wanted, may_start)
      end
      alone = last_try
      found.left, found.room = found.left - 1, found.room - #message
      found.chosen[id] = true
      found.ids[#found.ids + 1], found.tasks[#found.tasks + 1] = id, task
    end
  end
end

-- Chooses from pending: mostly its last entries. Behind suspects that must wait, and what is no task at all, others may
-- be ready: for some the walk goes on for a little, for none it goes far.
local function choose(queue, left)
  local found = { ids = {}, tasks = {}, chosen = {}, broken = {}, strays = {}, passed = false, left = left, room = max_bytes - bytes }
  local looked, step = 0, left
  repeat
    local window = redis.call("LRANGE", queue.pending, -(looked + step), -(looked + 1))
    look(queue, window, found)
    local ended = #window < step
    looked = looked + #window
    local far = looked >= (#found.ids > 0 and left + 64 or furthest)
    if far and not ended and not alone and found.left > 0 and #found.broken + #found.strays > 0 then may_hold_more() end
    step = math.min(looked == left and 64 or step * 2, furthest - looked)
    found.dry = ended and found.left > 0 and not alone and not found.passed
  until found.left <= 0 or alone or ended or far
  return found
end

local function lease(queue)
  if redis.call("EXISTS", queue.asynq .. "paused") == 1 then
    paused[#paused + 1] = queue.number
    return
  end
  if redis.call("EXISTS", queue.pending) == 0 then
    dry[#dry + 1] = queue.number
    return
  end
  local left = math.min(wanted, most_of[queue.number] or wanted)
  if left <= 0 then return end
  local problem = misfit(queue.pending, "list") or misfits(queue) or misfit(queue.holdfast .. "broken", "list")
  if problem then return note(queue.number, "", problem) end
  local found = choose(queue, left)
  if found.dry then dry[#dry + 1] = queue.number end
  if not found.passed and #found.broken + #found.strays == 0 then
    if #found.ids > 0 then redis.call("LTRIM", queue.pending, 0, -(#found.ids + 1)) end
  else
    for _, id in ipairs(found.ids) do redis.call("LREM", queue.pending, "-1", id) end
    for _, id in ipairs(found.strays) do redis.call("LREM", queue.pending, "-1", id) end
    for _, id in ipairs(found.broken) do
      redis.call("LREM", queue.pending, "-1", id)
      redis.call("LPUSH", queue.holdfast .. "broken", id)
      note(queue.number, id, "there is no task of this id")
    end
  end
  if #found.ids == 0 then return end
  redis.call("LPUSH", queue.active, unpack(found.ids))
  hold(queue, found.ids)
  for n, id in ipairs(found.ids) do
    redis.call("HSET", queue.tasks .. id, "state", "active")
    redis.call("HDEL", queue.tasks .. id, "pending_since", "hf_progress")
    give(queue, id, found.tasks[n])
  end
end

-- The same request again, its reply was lost: it gets the tasks that it still holds, their leases renewed.
local function lease_again(last)
  for n = 2, #last, 2 do
    local number, id = unpack(last, n, n + 1)
    local queue = queues[tonumber(number)]
    local score = redis.pcall("ZSCORE", queue.lease, id)
    if type(score) == "string" and redis.pcall("HGET", queue.leases, id) == holder(token, score) then
      local task = redis.pcall("HMGET", queue.tasks .. id, "msg", "hf_crashes", "hf_returns", "hf_once", "state", "hf_spool")
      if task[1] then
        -- Taken out first, because a server whose memory is full refuses ZADD as a script's first write.
        redis.call("ZREM", queue.lease, id)
        hold(queue, { id })
        give(queue, id, task)
      end
    end
  end
  -- Whether there was more has been lost with the reply.
  if wanted > 0 then may_hold_more() end
end

local function answer()
  reply[4], reply[5] = table.concat(dry, ","), table.concat(paused, ",")
  reply[6], reply[7] = table.concat(sizes, " "), table.concat(parts)
  return reply
end

if wanted <= 0 then return reply end
local request = queues[1].holdfast .. "req:" .. worker
if redis.pcall("LINDEX", request, 0) == token then
  lease_again(redis.call("LRANGE", request, 0, -1))
  return answer()
end
-- The sender will hear of an error instead of tasks.
if wrong then return reply end
for number = 1, lease_queues do
  if wanted <= 0 or alone then break end
  if bytes >= max_bytes then
    may_hold_more()
    break
  end
  lease(queues[number])
end
if #given > 0 then
  redis.call("UNLINK", request)
  redis.call("RPUSH", request, token, unpack(given))
  -- As long as its leases last, a request may come again.
  redis.call("EXPIRE", request, math.max(60, until_s - now_s))
end
return answer()
`,
};

export function exchange(keys: readonly ExchangeKeys[], head: ExchangeHead, rows: readonly ExchangeRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowNs, head.day, head.keepUntilS, head.bucket, head.keep, head.beforeS, head.worker, head.token, head.untilS, head.limit, head.startable, head.limits, head.suspects, head.maxCrashes, head.leaseQueues, head.maxBytes, head.goneGroups];
  args.push(packedRows(rows, ["number", "id", "held", "move", "message", "score", "lock", "detail", "made"]));
  return { script: exchangeScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface LabelKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface LabelHead {
  readonly nowMs: Argument;
  readonly field: Argument;
  readonly mark: Argument;
  readonly verb: Argument;
  readonly ids: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const labelScript: Script = {
  name: "label",
  sha1: "502da41500337a2419610de366734ce54fcb6bc8",
  text: `-- Mark dead letters of one queue in \`field\`: \`mark\` says who and why; "" takes that back.
-- Reply: a letter an id: m(arked, or taken back), n(ot found), w(rong state); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, field, mark, verb, ids, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local problem = misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local chosen, letters, seen = {}, {}, {}
for n, id in ipairs(cjson.decode(ids)) do
  local state = redis.pcall("HMGET", asynq .. "t:" .. id, "state")[1]
  letters[n] = not state and "n" or state == "archived" and "m" or "w"
  if letters[n] == "m" and not seen[id] then chosen[#chosen + 1] = id end
  seen[id] = true
end
if #chosen == 0 then return table.concat(letters) end

for _, id in ipairs(chosen) do
  -- Taken out first, because a server whose memory is full refuses HSET as a script's first write.
  redis.call("HDEL", asynq .. "t:" .. id, field)
  if mark ~= "" then redis.call("HSET", asynq .. "t:" .. id, field, mark) end
end
record(holdfast, now_ms, actor, reason, request, verb, cjson.encode(chosen), #chosen)
return table.concat(letters)
`,
};

export function label(keys: LabelKeys, head: LabelHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.field, head.mark, head.verb, head.ids, head.actor, head.reason, head.request];
  return { script: labelScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface LineKeys {
  readonly list: string;
}

export interface LineHead {
  readonly id: Argument;
  readonly near: Argument;
  readonly limit: Argument;
  readonly backwards: Argument;
}

export const lineScript: Script = {
  name: "line",
  sha1: "d83faac4eadd789f931a1867367fa513c1ddba28",
  text: `-- What follows a place in a list, counted from its tail, or comes before it. The place is the one right before the entry
-- \`id\`, which was \`near\` entries from the tail when it was last seen; with no \`id\` it is the tail or, backwards, the
-- head. Workers take from the tail: when the entry has left, so has all before it, and the place is the tail. Writes
-- nothing.
-- Reply: what is wrong with the key, or { how far from the tail the first id is, whether there is anything on the other
-- side of the place, ids }, one more than \`limit\`, so that one sees whether there are more.
local list = unpack(KEYS)
local deadline_ms, id, near, limit, backwards = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end

local problem = misfit(list, "list")
if problem then return problem end
local length = redis.call("LLEN", list)
near = tonumber(near)

-- Redis skips whole pieces of a list on its way to an index, but looks at each entry for LPOS: where nothing moved much,
-- the first is enough. An entry comes closer to the tail, save for the few that are put back behind it.
local function distance()
  local nearest = math.max(0, near - 200)
  local window = redis.call("LRANGE", list, -near - 201, -nearest - 1)
  local found
  for n = #window, 1, -1 do
    local at = nearest + #window - n
    -- An id may be there twice: then it is the one that is least far from where it was.
    if window[n] == id and (not found or math.abs(at - near) < math.abs(found - near)) then found = at end
  end
  if found then return found end
  local index = redis.call("LPOS", list, id, "RANK", -1, "MAXLEN", near + 10000)
  return index and length - 1 - index or 0
end

local place = backwards == "1" and length or 0
if id ~= "" then place = distance() end
local first, last = place, place + limit
if backwards == "1" then first, last = math.max(0, place - limit - 1), place - 1 end
local ids = {}
if last >= first then
  local window = redis.call("LRANGE", list, -last - 1, -first - 1)
  for n = #window, 1, -1 do ids[#ids + 1] = window[n] end
end
local rest = place
if backwards == "1" then rest = length - place end
return { first, rest > 0 and 1 or 0, ids }
`,
};

export function line(keys: LineKeys, head: LineHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.id, head.near, head.limit, head.backwards];
  return { script: lineScript, keys: [keys.list], args };
}

export interface MarkKeys {
  readonly data: string;
}

export interface MarkHead {
  readonly fresh: Argument;
  readonly nowMs: Argument;
  readonly knownMs: Argument;
}

export const markScript: Script = {
  name: "mark",
  sha1: "9d2bef7b1d69530f9bbe6a3d1f80a64a1b07e6d9",
  text: `-- Among the data there is a mark that tells them from others, and the time until which they are known to reach: whoever
-- looks writes it. Data that came back older than the looker knows have a gap, which stays noted for those who look later:
-- "mark until from:noticed …", the last four. What cannot be written now is left as it is.
-- \`known_ms\`: until when the looker has seen these data reach, 0 when it has not.
-- Reply: the mark, the time that was there, the time that is there, the gaps; an empty mark where there is none.
local data = unpack(KEYS)
local deadline_ms, fresh, now_ms, known_ms = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end

local stored = redis.call("GET", data) or ""
local mark, until_ms, gaps = string.match(stored, "^(%S+) ?(%d*)(.*)$")
local found_ms = tonumber(until_ms) or 0
if mark and found_ms < tonumber(known_ms) then
  local kept = {}
  for gap in string.gmatch(gaps, "%d+:%d+") do kept[#kept + 1] = gap end
  kept[#kept + 1] = string.format("%.0f:%.0f", found_ms, now_ms)
  gaps = " " .. table.concat(kept, " ", math.max(1, #kept - 3))
end
local reaches_ms = math.max(found_ms, tonumber(now_ms))
local text = string.format("%s %.0f%s", mark or fresh, reaches_ms, gaps or "")
if text ~= stored then
  local written = redis.pcall("SET", data, text)
  if type(written) == "table" and written.err then reaches_ms = found_ms end
  if reaches_ms == found_ms and not mark then return { "", 0, 0, "" } end
end
return { mark or fresh, found_ms, reaches_ms, gaps or "" }
`,
};

export function mark(keys: MarkKeys, head: MarkHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.fresh, head.nowMs, head.knownMs];
  return { script: markScript, keys: [keys.data], args };
}

export interface MemoryKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface MemoryHead {
  readonly sample: Argument;
}

export const memoryScript: Script = {
  name: "memory",
  sha1: "5b16e4aa7b743adb8e1a693487cfebb713754508",
  text: `-- About how many bytes each queue takes: its keys, and its tasks by the average of a few of each state. Writes nothing;
-- what cannot be asked counts as nothing.
-- KEYS: the two prefixes of each queue.
local deadline_ms, sample = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end

local function bytes_of(key)
  local bytes = redis.pcall("MEMORY", "USAGE", key)
  return type(bytes) == "number" and bytes or 0
end

-- The tasks behind some ids, of which there are \`count\`.
local function tasks_of(asynq, ids, count)
  if #ids == 0 then return 0 end
  local sum = 0
  for _, id in ipairs(ids) do sum = sum + bytes_of(asynq .. "t:" .. id) end
  return sum / #ids * count
end

local function count_of(...)
  local count = redis.pcall(...)
  return type(count) == "number" and count or 0
end

-- Half from each end.
local function list(asynq, key)
  local count = count_of("LLEN", key)
  local half = math.ceil(sample / 2)
  local ids = count <= 2 * half and redis.pcall("LRANGE", key, 0, -1) or redis.call("LRANGE", key, 0, half - 1)
  if count > 2 * half then
    for _, id in ipairs(redis.call("LRANGE", key, -half, -1)) do ids[#ids + 1] = id end
  end
  return bytes_of(key) + tasks_of(asynq, ids, count)
end

local function set(asynq, key)
  return bytes_of(key) + tasks_of(asynq, redis.pcall("ZRANDMEMBER", key, sample), count_of("ZCARD", key))
end

local function groups(asynq)
  local names = redis.pcall("SRANDMEMBER", asynq .. "groups", 5)
  local sum = 0
  for _, name in ipairs(names) do sum = sum + set(asynq, asynq .. "g:" .. name) end
  return bytes_of(asynq .. "groups") + (#names == 0 and 0 or sum / #names * count_of("SCARD", asynq .. "groups"))
end

local reply = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  local sum = list(asynq, asynq .. "pending") + list(asynq, asynq .. "active") + groups(asynq)
  for _, key in ipairs({ asynq .. "scheduled", asynq .. "retry", asynq .. "archived", holdfast .. "archived", asynq .. "completed" }) do
    sum = sum + set(asynq, key)
  end
  for _, key in ipairs({ asynq .. "lease", holdfast .. "leases", holdfast .. "audit", holdfast .. "broken" }) do
    sum = sum + bytes_of(key)
  end
  reply[#reply + 1] = math.floor(sum)
end
return reply
`,
};

export function memory(keys: readonly MemoryKeys[], head: MemoryHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.sample];
  return { script: memoryScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface MoveKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface MoveHead {
  readonly nowS: Argument;
  readonly nowMs: Argument;
  readonly nowNs: Argument;
  readonly to: Argument;
  readonly attempts: Argument;
  readonly failure: Argument;
  readonly maxCrashes: Argument;
  readonly keep: Argument;
  readonly beforeS: Argument;
  readonly horizonMs: Argument;
  readonly bucketMs: Argument;
  readonly state: Argument;
  readonly group: Argument;
  readonly cursor: Argument;
  readonly ids: Argument;
  readonly limit: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const moveScript: Script = {
  name: "move",
  sha1: "84b7b65f294784237c9caf800bc5fe126da50a7e",
  text: `-- Move tasks of one queue to pending, to the archive, or out of the world: those of \`ids\` (JSON), or the first \`limit\` of
-- a state when \`state\` names one; of all groups when \`group\` names none. What is ordered by the time it is due goes on from
-- \`cursor\`, for tasks that come back are in front of those that have not moved yet.
-- Reply: what is wrong with a key, for which nothing was written, or { receipts, moved, skipped, more, notes }; \`more\` is
-- a cursor, or "". A receipt
-- is a letter an id: m(oved), n(ot found), w(rong state), a(gain: not looked at, for the call had enough to do). Notes are
-- { 1, id, problem, … }: entries that were no task, set aside.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, now_ns, to, attempts, failure, max_crashes, keep, before_s, horizon_ms, bucket_ms, state, group, cursor, ids, limit, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- A Go peer's trim deletes dead letters past 9,999 or 90 days. So the oldest leave asynq's archive before that, at most
-- \`most\` at a time, with their scores; their hashes stay as they are. Answers how many.
local function move_aside(asynq, holdfast, keep, before_s, most)
  local archived = asynq .. "archived"
  local surplus = redis.call("ZCARD", archived) - keep
  local old = redis.call("ZCOUNT", archived, "-inf", before_s)
  local count = math.min(math.max(surplus, old), most)
  if count <= 0 then return 0 end
  local oldest = redis.call("ZRANGE", archived, 0, count - 1, "WITHSCORES")
  local entries = {}
  for n = 1, #oldest, 2 do
    entries[n], entries[n + 1] = oldest[n + 1], oldest[n]
  end
  redis.call("ZREMRANGEBYRANK", archived, 0, count - 1)
  redis.call("ZADD", holdfast .. "archived", unpack(entries))
  return count
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end
-- What scripts have to know of a stored message: protobuf fields 5 (the most retries), 6 (failures counted) and 10 (the
-- unique lock); nil when the bytes are no message. Of a repeated field the last one counts.
-- Source: https://protobuf.dev/programming-guides/encoding
local function read_varint(bytes, at)
  local value, scale = 0, 1
  for n = at, at + 9 do
    local byte = bytes:byte(n)
    if not byte then return end
    value = value + byte % 128 * scale
    if byte < 128 then return value, n + 1 end
    scale = scale * 128
  end
end

local function read_message(bytes)
  local found, at = {}, 1
  while at <= #bytes do
    local tag, value
    tag, at = read_varint(bytes, at)
    if not tag then return end
    local wire, number = tag % 8, math.floor(tag / 8)
    if wire == 0 then
      value, at = read_varint(bytes, at)
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      local length
      length, at = read_varint(bytes, at)
      if not length then return end
      if number == 10 then value = bytes:sub(at, at + length - 1) end
      at = at + length
    else
      return
    end
    if not at or at > #bytes + 1 then return end
    found[number] = value
  end
  return { most = found[5] or 0, failed = found[6] or 0, lock = found[10] or "" }
end

-- The message with another number of most retries, in a field appended.
local function with_retries(bytes, most)
  local field = { bytes, string.char(40) }
  repeat
    local low = most % 128
    most = (most - low) / 128
    field[#field + 1] = string.char(most > 0 and low + 128 or low)
  until most == 0
  return table.concat(field)
end
-- How long ids of finished tasks are remembered, at least: those that came through a spool may come again much later.
local done_s, spooled_s = 180, 900
local longest_s = 604800

-- Ids with longer times may be in the same set.
local function keep_for(key, seconds)
  if seconds == done_s or redis.call("TTL", key) < seconds then redis.call("EXPIRE", key, seconds) end
end

-- What a task's hash, or its worker, says of that.
local function spooled_for(seconds)
  return math.min(math.max(spooled_s, math.floor(tonumber(seconds) or 0)), longest_s)
end
-- The time in an id of ours (a UUID version 7), Unix ms; nil for any other.
local function hexes(count)
  return ("[0-9a-f]"):rep(count)
end
local id_of_ours = "^" .. hexes(8) .. "%-" .. hexes(4) .. "%-7" .. hexes(3) .. "%-[89ab]" .. hexes(3) .. "%-" .. hexes(12) .. "$"
local function made_ms(id)
  return id:match(id_of_ours) and tonumber(id:sub(1, 8) .. id:sub(10, 13), 16)
end

-- An enqueue of tasks that are deleted may still be repeated: as settling does, where a task is deleted at once.
-- \`spooled\` says of those that came through a spool for how long.
local function remember(holdfast, ids, spooled)
  local done = {}
  for _, id in ipairs(ids) do
    local made = made_ms(id)
    if made and (spooled[id] or math.abs(now_ms - made) <= tonumber(horizon_ms)) then
      local bucket = string.format("%s%d", spooled[id] and "spooled:" or "done:", math.floor(made / bucket_ms))
      done[bucket] = done[bucket] or { keep_s = done_s }
      if spooled[id] then done[bucket].keep_s = math.max(done[bucket].keep_s, spooled_for(spooled[id])) end
      table.insert(done[bucket], id)
    end
  end
  for bucket, young in pairs(done) do
    local key = holdfast .. bucket
    if not misfit(key, "set") then
      redis.call("SADD", key, unpack(young))
      keep_for(key, young.keep_s)
    end
  end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- Earlier failures of a task are lines of \`hf_history\`, the newest last: at most 10, and 16 KiB. What \`hf_failure\` holds goes
-- there before it is written anew. Answers the new history; nil where it stays as it is, as when a task is given back for the
-- reason it was given back for before.
local function history_with_last(task, failure, given_back)
  local last, history = unpack(redis.pcall("HMGET", task, "hf_failure", "hf_history"), 1, 2)
  if not last or #last > 16384 or last:find("\\n", 1, true) then return end
  local reason = '^{"reason":"[a-z_]+"'
  if given_back and last:match(reason) == failure:match(reason) then return end
  -- Longer than we write it, it is not ours.
  if not history or history == "" or #history > 16384 then return last end
  local lines = history .. "\\n" .. last
  local count, at = 1, lines:find("\\n", 1, true)
  while at do count, at = count + 1, lines:find("\\n", at + 1, true) end
  while count > 10 or #lines > 16384 do
    lines, count = lines:sub(lines:find("\\n", 1, true) + 1), count - 1
  end
  return lines
end

local tasks, lease, pending, groups = asynq .. "t:", asynq .. "lease", asynq .. "pending", asynq .. "groups"
local archived, aside = asynq .. "archived", holdfast .. "archived"
attempts, max_crashes, limit = tonumber(attempts), tonumber(max_crashes), tonumber(limit)
local by_ids = state == ""

-- Look ----------------------------------------------------------------------------------------------------------------

local checked, problem = {}, nil
-- Whether a key can be worked with; what is wrong with the first that cannot is the reply.
local function fits(key, kind)
  if checked[key] == nil then checked[key] = misfit(key, kind) or false end
  problem = problem or checked[key]
  return not checked[key]
end

-- What is to be written: the tasks that move, the ids that leave each key, and those of them that are no task.
local chosen, from, broken = {}, {}, {}
local seen, left_groups = {}, {}
local strays = 0
local function leave(key, id)
  from[key] = from[key] or {}
  table.insert(from[key], id)
end

-- The sorted sets that hold the ids of a state, the oldest first.
local function sets_of(of_state, of_group)
  if of_state == "archived" then return { aside, archived } end
  if of_state == "aggregating" then return of_group and { asynq .. "g:" .. of_group } or {} end
  return { asynq .. of_state }
end
local is_state = { pending = 1, active = 1, scheduled = 1, retry = 1, archived = 1, completed = 1, aggregating = 1 }

local function read(id)
  local found = redis.pcall("HMGET", tasks .. id, "msg", "state", "unique_key", "group", "hf_crashes", "hf_spool")
  local message, its_state, lock, its_group, crashes, spooled = unpack(found, 1, 6)
  return message
    and { id = id, message = message, state = its_state, lock = lock, group = its_group, crashes = crashes, spooled = spooled }
end

-- The sets of a state that hold this task; for pending, where a look costs the length of the list, as it says itself.
local function places(task)
  local found = {}
  if task.state == "pending" then return { pending } end
  if not is_state[task.state] or task.state == "active" then return found end
  for _, key in ipairs(sets_of(task.state, task.group)) do
    if fits(key, "zset") and redis.call("ZSCORE", key, task.id) then found[#found + 1] = key end
  end
  return found
end

-- A task of pending is looked for from the tail, which takes as long as it is far away: so many entries in one call, but
-- always one task. Tasks that are moved together are often neighbours: those around one that was found are known.
local may_walk, walked, neighbours = 300000, 0, 1000
local index_of = {}
local function look_for(id)
  local index = redis.call("LPOS", pending, id, "RANK", -1)
  walked = walked + redis.call("LLEN", pending) - (index or 0)
  if not index then
    index_of[id] = false
    return
  end
  local first = math.max(0, index - neighbours)
  for n, other in ipairs(redis.call("LRANGE", pending, first, index + neighbours)) do index_of[other] = first + n - 1 end
end

local function receipt_of(id)
  if seen[id] == "m" then return to == "deleted" and "n" or "w" end
  if seen[id] then return seen[id] end
  local task = read(id)
  if not task or not task.state then return "n" end
  if task.state == to or not is_state[task.state] or task.state == "active" then return "w" end
  local there = places(task)
  if task.state == "pending" and fits(pending, "list") then
    if index_of[id] == nil then
      if walked > may_walk then return "a" end
      look_for(id)
    end
    if not index_of[id] then there = {} end
  end
  -- A task whose aggregation has begun is in a set of its own, and somebody else's; one with a lease is its worker's.
  if #there == 0 and (task.state == "aggregating" or is_member(lease, id)) then return "w" end
  for _, key in ipairs(there) do leave(key, id) end
  if task.state == "aggregating" then left_groups[task.group] = true end
  chosen[#chosen + 1] = task
  return "m"
end

-- A key of another type hides what is to be there again when it is gone: a task whose state says so may be in it.
local function look_open(task)
  if task.state == "pending" then
    fits(pending, "list")
  elseif task.state == "active" then
    fits(lease, "zset")
  elseif is_state[task.state] then
    for _, key in ipairs(sets_of(task.state, task.group)) do fits(key, "zset") end
  end
end

-- Entries of one place, its first: tasks that are there, what is no task, and strays, whose task is elsewhere.
local function choose(key, entries)
  for _, id in ipairs(entries) do
    leave(key, id)
    local task = not seen[id] and read(id)
    if seen[id] then
      strays = strays + 1
    elseif not task then
      broken[#broken + 1] = id
    elseif task.state ~= state and is_in_place(asynq, holdfast, id, task.state) then
      strays = strays + 1
    else
      if task.state ~= state then look_open(task) end
      chosen[#chosen + 1] = task
    end
    seen[id] = true
  end
  limit = limit - #entries
end

local function choose_from_sets(keys)
  for _, key in ipairs(keys) do
    if limit > 0 and fits(key, "zset") then choose(key, redis.call("ZRANGE", key, 0, limit - 1)) end
  end
end

-- The first from the cursor on, a score: to the last one's, from which the next call goes on.
local function choose_due(key)
  if not fits(key, "zset") then return end
  local from_score = tonumber(cursor) and cursor or "-inf"
  local scored, entries = redis.call("ZRANGE", key, from_score, "+inf", "BYSCORE", "LIMIT", 0, limit, "WITHSCORES"), {}
  for n = 1, #scored, 2 do entries[#entries + 1] = scored[n] end
  cursor = scored[#scored] or "+inf"
  choose(key, entries)
end

local receipts = {}
local chosen_groups = {}
if by_ids then
  for n, id in ipairs(cjson.decode(ids)) do
    receipts[n] = receipt_of(id)
    seen[id] = receipts[n]
  end
elseif state == "pending" then
  if fits(pending, "list") then
    local tail, entries = redis.call("LRANGE", pending, -limit, -1), {}
    for n = #tail, 1, -1 do entries[#entries + 1] = tail[n] end
    choose(pending, entries)
  end
elseif state == "aggregating" then
  chosen_groups = { group }
  if group == "" then chosen_groups = fits(groups, "set") and redis.call("SRANDMEMBER", groups, 100) or {} end
  for _, name in ipairs(chosen_groups) do
    choose_from_sets(sets_of(state, name))
    left_groups[name] = true
  end
elseif state == "retry" or state == "scheduled" then
  choose_due(asynq .. state)
else
  choose_from_sets(sets_of(state))
end
if next(left_groups) then fits(groups, "set") end
if #broken > 0 then fits(holdfast .. "broken", "list") end
if #chosen > 0 then
  fits(holdfast .. "audit", "stream")
  if to == "pending" then fits(pending, "list") end
  if to == "archived" then
    fits(archived, "zset")
    fits(aside, "zset")
  end
end
if problem then return problem end

-- Write: what shrinks comes first, which a server whose memory is full lets pass, and with it the rest ---------------------

-- Entries of a list, whose indexes are known, in one walk: first they are all made the same.
local gone = "\\0gone"
local function take_out(ids)
  -- What is marked takes no more memory than before, but LSET may not come first.
  redis.pcall("ZREM", lease, unpack(ids))
  local marked = 0
  for _, id in ipairs(ids) do
    if index_of[id] then
      redis.call("LSET", pending, index_of[id], gone)
      marked = marked + 1
    end
  end
  if marked > 0 then redis.call("LREM", pending, -marked, gone) end
end

for key, leaving in pairs(from) do
  if key ~= pending then
    redis.call("ZREM", key, unpack(leaving))
  elseif by_ids then
    take_out(leaving)
  else
    redis.call("LTRIM", pending, 0, -#leaving - 1)
  end
end
for name in pairs(left_groups) do
  if redis.call("EXISTS", asynq .. "g:" .. name) == 0 then redis.call("SREM", groups, name) end
end

local moved = {}
for n, task in ipairs(chosen) do moved[n] = task.id end

local function delete_tasks()
  local unlink, spooled = {}, {}
  for _, task in ipairs(chosen) do
    spooled[task.id] = task.spooled
    unlink[#unlink + 1] = tasks .. task.id
    -- A task that came to a group has its lock in the message alone.
    local lock = task.lock or (read_message(task.message) or {}).lock
    if lock and lock:sub(1, #asynq + 7) == asynq .. "unique:" and redis.pcall("GET", lock) == task.id then
      unlink[#unlink + 1] = lock
    end
  end
  redis.call("UNLINK", unpack(unlink))
  remember(holdfast, moved, spooled)
end

-- At least \`attempts\` runs before the task is a dead letter again, whether it fails or takes its workers down.
local function renew_tries(task)
  local known = read_message(task.message)
  local most = known and math.min(known.failed + attempts - 1, 2147483647)
  -- A negative number is a varint above 2^63.
  if known and known.failed < 2147483648 and (known.most < most or known.most >= 2147483648) then
    redis.call("HSET", tasks .. task.id, "msg", with_retries(task.message, most))
  end
  local crashes = max_crashes - attempts
  if task.crashes and (tonumber(task.crashes) or 0) > crashes then
    if crashes > 0 then
      redis.call("HSET", tasks .. task.id, "hf_crashes", crashes)
    else
      redis.call("HDEL", tasks .. task.id, "hf_crashes")
    end
  end
end

local function run_tasks()
  for _, task in ipairs(chosen) do
    redis.call("HSET", tasks .. task.id, "state", "pending", "pending_since", now_ns)
    if attempts > 1 then renew_tries(task) end
  end
  redis.call("LPUSH", pending, unpack(moved))
end

local function archive_tasks()
  local entries = {}
  for n, task in ipairs(chosen) do
    entries[2 * n - 1], entries[2 * n] = now_s, task.id
    local key = tasks .. task.id
    local history = history_with_last(key, failure, false)
    redis.call("HSET", key, "state", "archived", "hf_failure", failure)
    if history then redis.call("HSET", key, "hf_history", history) end
  end
  redis.call("ZADD", archived, unpack(entries))
  move_aside(asynq, holdfast, keep, before_s, #chosen + 50)
  await_index(holdfast, moved)
end

local notes = {}
if #chosen > 0 then
  local verb
  local dead = {}
  for _, task in ipairs(chosen) do
    if task.state == "archived" then dead[#dead + 1] = task.id end
  end
  leave_groups(asynq, holdfast, dead)
  if to == "deleted" then
    verb = "delete"
    delete_tasks()
  elseif to == "pending" then
    verb = "run"
    run_tasks()
  else
    verb = "archive"
    archive_tasks()
  end
  local what = by_ids and cjson.encode(moved) or group == "" and state or state .. " " .. group
  record(holdfast, now_ms, actor, reason, request, verb, what, #chosen)
end
if #broken > 0 then
  redis.call("LPUSH", holdfast .. "broken", unpack(broken))
  for _, id in ipairs(broken) do
    notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = 1, id, "there is no task of this id"
  end
end

local more = ""
if state == "retry" or state == "scheduled" then
  if redis.call("ZCOUNT", asynq .. state, cursor, "+inf") > 0 then more = cursor end
elseif not by_ids then
  local rest = state == "pending" and { pending } or state == "aggregating" and group == "" and { groups } or sets_of(state, group)
  if redis.call("EXISTS", unpack(rest)) > 0 then more = "more" end
end
return { table.concat(receipts), #chosen, #broken + strays, more, notes }
`,
};

export function move(keys: MoveKeys, head: MoveHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowMs, head.nowNs, head.to, head.attempts, head.failure, head.maxCrashes, head.keep, head.beforeS, head.horizonMs, head.bucketMs, head.state, head.group, head.cursor, head.ids, head.limit, head.actor, head.reason, head.request];
  return { script: moveScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface PageKeys {
  readonly set: string;
}

export interface PageHead {
  readonly score: Argument;
  readonly id: Argument;
  readonly limit: Argument;
  readonly backwards: Argument;
}

export const pageScript: Script = {
  name: "page",
  sha1: "5ccd040dceec09e5b745715da16d5ed3afe9bfdf",
  text: `-- What follows a place in sorted sets, or comes before it: the ids of each, by score and, where scores are equal, by
-- their bytes. The place is the one right before the entry (\`score\`, \`id\`), whether that entry is there or not; with no
-- \`id\` it is the beginning or, backwards, the end. Writes nothing.
-- Reply, a set: what is wrong with the key, or { whether there is anything on the other side of the place, ids with
-- scores }, one more than \`limit\`, so that one sees whether there are more.
local deadline_ms, score, id, limit, backwards = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end

-- As Redis orders members: \`<\` would go by the server's locale.
local function is_before(a, b)
  for n = 1, math.min(#a, #b) do
    local x, y = a:byte(n), b:byte(n)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- How many entries come before the place.
local function before_place(key)
  if id == "" then return backwards == "1" and redis.call("ZCARD", key) or 0 end
  local low = redis.call("ZCOUNT", key, "-inf", "(" .. score)
  local high = low + redis.call("ZCOUNT", key, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(redis.call("ZRANGE", key, middle, middle)[1], id) then low = middle + 1 else high = middle end
  end
  return low
end

local function window(key)
  local problem = misfit(key, "zset")
  if problem then return problem end
  local before = before_place(key)
  if backwards ~= "1" then
    return { before > 0 and 1 or 0, redis.call("ZRANGE", key, before, before + limit, "WITHSCORES") }
  end
  local rest = redis.call("ZCARD", key) > before and 1 or 0
  if before == 0 then return { rest, {} } end
  return { rest, redis.call("ZRANGE", key, math.max(0, before - limit - 1), before - 1, "WITHSCORES") }
end

local reply = {}
for k = 1, #KEYS, 1 do
  local set = unpack(KEYS, k, k + 0)
  reply[#reply + 1] = window(set)
end
return reply
`,
};

export function page(keys: readonly PageKeys[], head: PageHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.score, head.id, head.limit, head.backwards];
  return { script: pageScript, keys: keys.flatMap((key) => [key.set]), args };
}

export interface PauseKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface PauseHead {
  readonly nowS: Argument;
  readonly nowMs: Argument;
  readonly paused: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const pauseScript: Script = {
  name: "pause",
  sha1: "b7d5a84c3fde5c363a1db95537b4a9fe6cd35df2",
  text: `-- Pause queues, or let them go on; the queues are known to exist.
-- KEYS: the two prefixes of each queue.
-- Reply, a queue: 1 when that changed it, 0 when it was so already, or what is wrong with a key.
local deadline_ms, now_s, now_ms, paused, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local function pause(asynq, holdfast)
  local mark, by = asynq .. "paused", holdfast .. "pause"
  local problem = misfit(mark, "string") or misfit(by, "hash") or misfit(holdfast .. "audit", "stream")
  if problem then return problem end
  -- One that expires is a standstill's: a person's outlasts it.
  local there = redis.call("EXISTS", mark) == 1 and (paused == "0" or redis.call("PTTL", mark) < 0)
  if there == (paused == "1") then return 0 end
  redis.call("UNLINK", by)
  if paused == "1" then
    redis.call("SET", mark, now_s)
    redis.call("HSET", by, "since", now_s, "actor", actor, "reason", reason, "request", request)
    record(holdfast, now_ms, actor, reason, request, "pause", "", 0)
  else
    -- Workers that sleep watch this key.
    redis.call("UNLINK", mark)
    record(holdfast, now_ms, actor, reason, request, "resume", "", 0)
  end
  return 1
end

local reply = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  reply[#reply + 1] = pause(asynq, holdfast)
end
return reply
`,
};

export function pause(keys: readonly PauseKeys[], head: PauseHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowMs, head.paused, head.actor, head.reason, head.request];
  return { script: pauseScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface ProbeKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface ProbeHead {
  readonly nowNs: Argument;
}

export const probeScript: Script = {
  name: "probe",
  sha1: "85416eee0368ec603b1efd434af1c7b79d927d77",
  text: `-- Whether a task of this queue would be taken now: a write that leaves nothing behind for long. A server that is full, has too few
-- replicas or is one itself refuses it, as it refuses tasks; a PING it answers.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ns = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- Somebody works on the storage, and nothing is taken meanwhile.
local standstill = redis.pcall("GET", holdfast .. "standstill")
if type(standstill) == "string" then
  local until_ms, why = standstill:match("^(%d+)\\t%d+\\t[^\\t]*\\t(.*)$")
  if until_ms and tonumber(until_ms) * 1000000 > tonumber(now_ns) then
    return redis.error_reply("MAINTENANCE " .. until_ms .. " " .. why)
  end
end
redis.call("SET", holdfast .. "barrier", "", "EX", 60)
return 1
`,
};

export function probe(keys: ProbeKeys, head: ProbeHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowNs];
  return { script: probeScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface PromoteKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface PromoteHead {
  readonly nowS: Argument;
  readonly nowNs: Argument;
  readonly limit: Argument;
}

export const promoteScript: Script = {
  name: "promote",
  sha1: "97e5d552aeb2102f440809292315ddd579334f55",
  text: `-- What is due moves from scheduled and retry to pending; a task with a group (a Go peer's) moves into its group.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { moved, next due score or "", notes }; notes are { number, id or "", problem, … }.
local deadline_ms, now_s, now_ns, limit = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end

local left, next_s = tonumber(limit), nil
local notes = {}
local function note(number, id, problem)
  notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = number, id, problem
end

local function misfits(asynq, holdfast)
  return misfit(asynq .. "scheduled", "zset") or misfit(asynq .. "retry", "zset") or misfit(asynq .. "pending", "list")
    or misfit(asynq .. "groups", "set") or misfit(holdfast .. "broken", "list")
end

local function promote(number, asynq, holdfast, state)
  local from = asynq .. state
  local due = redis.call("ZRANGEBYSCORE", from, "-inf", now_s, "LIMIT", 0, left)
  if #due == 0 then return end
  local tasks = {}
  for n, id in ipairs(due) do
    tasks[n] = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "group", "state")
  end
  redis.call("ZREM", from, unpack(due))
  local ready = {}
  for n, id in ipairs(due) do
    local task = asynq .. "t:" .. id
    local message, group, its_state = unpack(tasks[n], 1, 3)
    if not message then
      redis.call("LPUSH", holdfast .. "broken", id)
      note(number, id, "there is no task of this id")
    elseif its_state ~= state and is_in_place(asynq, holdfast, id, its_state) then
      -- A stray: it runs, waits or rests elsewhere.
    elseif group and group ~= "" and not misfit(asynq .. "g:" .. group, "zset") then
      redis.call("ZADD", asynq .. "g:" .. group, now_s, id)
      redis.call("SADD", asynq .. "groups", group)
      redis.call("HSET", task, "state", "aggregating")
    else
      ready[#ready + 1] = id
      redis.call("HSET", task, "state", "pending", "pending_since", now_ns)
    end
  end
  if #ready > 0 then redis.call("LPUSH", asynq .. "pending", unpack(ready)) end
  left = left - #due
end

local states = { "scheduled", "retry" }

local function sooner(score, other)
  return score and (not other or tonumber(score) < tonumber(other)) and score or other
end

-- The score of what falls due next in a queue, if anything does; what is no sorted set is to be looked at now.
local function next_of(asynq)
  local soonest
  for _, state in ipairs(states) do
    local first = redis.pcall("ZRANGE", asynq .. state, 0, 0, "WITHSCORES")
    soonest = sooner(first.err and "-inf" or first[2], soonest)
  end
  return soonest
end

for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  local number = (k + 1) / 2
  -- Mostly nothing is due, and every worker asks each second.
  local soonest = next_of(asynq)
  local problem
  if soonest and tonumber(soonest) <= tonumber(now_s) then
    problem = misfits(asynq, holdfast)
    if problem then
      note(number, "", problem)
    else
      for _, state in ipairs(states) do
        if left > 0 then promote(number, asynq, holdfast, state) end
      end
      soonest = next_of(asynq)
    end
  end
  if not problem then next_s = sooner(soonest, next_s) end
end
return { limit - left, next_s or "", notes }
`,
};

export function promote(keys: readonly PromoteKeys[], head: PromoteHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowNs, head.limit];
  return { script: promoteScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface PruneKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface PruneHead {
  readonly nowS: Argument;
  readonly nowMs: Argument;
  readonly keep: Argument;
  readonly beforeS: Argument;
  readonly limit: Argument;
  readonly horizonMs: Argument;
  readonly bucketMs: Argument;
}

export const pruneScript: Script = {
  name: "prune",
  sha1: "fe0f337322a86820d887958d793d3bb5111822e4",
  text: `-- Completed tasks past their retention are deleted; dead letters past the bounds leave asynq's archive for ours; leases
-- of tasks that a Go peer finished are dropped; what was discarded and is not to be restored any more goes for good.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { how many tasks, notes }; notes are { number, id or "", problem, … }.
local deadline_ms, now_s, now_ms, keep, before_s, limit, horizon_ms, bucket_ms = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- A Go peer's trim deletes dead letters past 9,999 or 90 days. So the oldest leave asynq's archive before that, at most
-- \`most\` at a time, with their scores; their hashes stay as they are. Answers how many.
local function move_aside(asynq, holdfast, keep, before_s, most)
  local archived = asynq .. "archived"
  local surplus = redis.call("ZCARD", archived) - keep
  local old = redis.call("ZCOUNT", archived, "-inf", before_s)
  local count = math.min(math.max(surplus, old), most)
  if count <= 0 then return 0 end
  local oldest = redis.call("ZRANGE", archived, 0, count - 1, "WITHSCORES")
  local entries = {}
  for n = 1, #oldest, 2 do
    entries[n], entries[n + 1] = oldest[n + 1], oldest[n]
  end
  redis.call("ZREMRANGEBYRANK", archived, 0, count - 1)
  redis.call("ZADD", holdfast .. "archived", unpack(entries))
  return count
end
-- How long ids of finished tasks are remembered, at least: those that came through a spool may come again much later.
local done_s, spooled_s = 180, 900
local longest_s = 604800

-- Ids with longer times may be in the same set.
local function keep_for(key, seconds)
  if seconds == done_s or redis.call("TTL", key) < seconds then redis.call("EXPIRE", key, seconds) end
end

-- What a task's hash, or its worker, says of that.
local function spooled_for(seconds)
  return math.min(math.max(spooled_s, math.floor(tonumber(seconds) or 0)), longest_s)
end
-- The time in an id of ours (a UUID version 7), Unix ms; nil for any other.
local function hexes(count)
  return ("[0-9a-f]"):rep(count)
end
local id_of_ours = "^" .. hexes(8) .. "%-" .. hexes(4) .. "%-7" .. hexes(3) .. "%-[89ab]" .. hexes(3) .. "%-" .. hexes(12) .. "$"
local function made_ms(id)
  return id:match(id_of_ours) and tonumber(id:sub(1, 8) .. id:sub(10, 13), 16)
end

-- An enqueue of tasks that are deleted may still be repeated: as settling does, where a task is deleted at once.
-- \`spooled\` says of those that came through a spool for how long.
local function remember(holdfast, ids, spooled)
  local done = {}
  for _, id in ipairs(ids) do
    local made = made_ms(id)
    if made and (spooled[id] or math.abs(now_ms - made) <= tonumber(horizon_ms)) then
      local bucket = string.format("%s%d", spooled[id] and "spooled:" or "done:", math.floor(made / bucket_ms))
      done[bucket] = done[bucket] or { keep_s = done_s }
      if spooled[id] then done[bucket].keep_s = math.max(done[bucket].keep_s, spooled_for(spooled[id])) end
      table.insert(done[bucket], id)
    end
  end
  for bucket, young in pairs(done) do
    local key = holdfast .. bucket
    if not misfit(key, "set") then
      redis.call("SADD", key, unpack(young))
      keep_for(key, young.keep_s)
    end
  end
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local left = tonumber(limit)
local notes = {}

local function misfits(asynq, holdfast)
  return misfit(asynq .. "completed", "zset") or misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset")
    or misfit(asynq .. "lease", "zset") or misfit(holdfast .. "leases", "hash") or misfit(holdfast .. "broken", "list")
    or misfit(holdfast .. "trash", "zset")
end

local function note(number, id, problem)
  notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = number, id, problem
end

-- Only what is completed is deleted. What merely has its id among the completed ones stays, and when it has no other
-- place, its id is set aside.
local function forget_completed(number, asynq, holdfast)
  local ids = redis.call("ZRANGEBYSCORE", asynq .. "completed", "-inf", now_s, "LIMIT", 0, left)
  if #ids == 0 then return end
  redis.call("ZREM", asynq .. "completed", unpack(ids))
  left = left - #ids
  local completed, tasks, spooled = {}, {}, {}
  for _, id in ipairs(ids) do
    local task = asynq .. "t:" .. id
    local found = redis.pcall("HMGET", task, "state", "hf_spool")
    local state = found[1]
    if state == "completed" then
      spooled[id] = found[2]
      completed[#completed + 1], tasks[#tasks + 1] = id, task
    elseif redis.call("EXISTS", task) == 1 and not is_in_place(asynq, holdfast, id, state) then
      redis.call("LPUSH", holdfast .. "broken", id)
      note(number, id, "it is among the completed tasks, and is none")
    end
  end
  if #tasks == 0 then return end
  remember(holdfast, completed, spooled)
  redis.call("UNLINK", unpack(tasks))
end

-- Discarding said until when. It is an act, so who has no right to the log leaves it to others.
local function empty_trash(holdfast)
  local ids = redis.call("ZRANGEBYSCORE", holdfast .. "trash", "-inf", now_s, "LIMIT", 0, left)
  if #ids == 0 then return end
  local log = redis.pcall("XREVRANGE", holdfast .. "audit", "+", "-", "COUNT", 1)
  if log.err and not log.err:find("^WRONGTYPE") then return end
  redis.call("ZREM", holdfast .. "trash", unpack(ids))
  local keys = {}
  for n, id in ipairs(ids) do keys[n] = holdfast .. "trash:" .. id end
  redis.call("UNLINK", unpack(keys))
  left = left - #ids
  if not log.err then
    record(holdfast, now_ms, "holdfast", "the time to restore them is over", "", "purge", cjson.encode(ids), #ids)
  end
end

-- A sample at each call finds them all in time; those of held leases are left alone.
local function sweep_leases(asynq, holdfast)
  local ids = redis.call("HRANDFIELD", holdfast .. "leases", 20)
  if #ids == 0 then return end
  local gone = {}
  for n, score in ipairs(redis.call("ZMSCORE", asynq .. "lease", unpack(ids))) do
    if not score then gone[#gone + 1] = ids[n] end
  end
  if #gone > 0 then redis.call("HDEL", holdfast .. "leases", unpack(gone)) end
end

-- Mostly there is nothing to do, and every worker asks each second. What is not of its type is to be told.
local function is_idle(asynq, holdfast)
  local first = redis.pcall("ZRANGE", asynq .. "completed", 0, 0, "WITHSCORES")
  if first.err or (first[2] and tonumber(first[2]) <= tonumber(now_s)) then return false end
  local discarded = redis.pcall("ZRANGE", holdfast .. "trash", 0, 0, "WITHSCORES")
  if discarded.err or (discarded[2] and tonumber(discarded[2]) <= tonumber(now_s)) then return false end
  local archived = redis.pcall("ZCARD", asynq .. "archived")
  if type(archived) ~= "number" or archived > tonumber(keep) then return false end
  if archived > 0 and redis.call("ZCOUNT", asynq .. "archived", "-inf", before_s) > 0 then return false end
  return redis.pcall("HLEN", holdfast .. "leases") == 0
end

for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  if left <= 0 then break end
  local problem = not is_idle(asynq, holdfast) and misfits(asynq, holdfast)
  if problem == nil then
    forget_completed((k + 1) / 2, asynq, holdfast)
    left = left - move_aside(asynq, holdfast, keep, before_s, left)
    if left > 0 then empty_trash(holdfast) end
    sweep_leases(asynq, holdfast)
  elseif problem then
    note((k + 1) / 2, "", problem)
  end
end
return { limit - left, notes }
`,
};

export function prune(keys: readonly PruneKeys[], head: PruneHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowMs, head.keep, head.beforeS, head.limit, head.horizonMs, head.bucketMs];
  return { script: pruneScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface PurgeKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface PurgeHead {
  readonly nowMs: Argument;
  readonly ids: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const purgeScript: Script = {
  name: "purge",
  sha1: "69c3513e78403ffa321453adaff2204db3f8ef10",
  text: `-- Discarded tasks of one queue out of its trash, for good.
-- Reply: a letter an id: p(urged), n(ot found); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, ids, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local trash, trashed = holdfast .. "trash", holdfast .. "trash:"
local problem = misfit(trash, "zset") or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local purged, keys, letters, seen = {}, {}, {}, {}
for n, id in ipairs(cjson.decode(ids)) do
  local is_there = not seen[id] and (redis.call("ZSCORE", trash, id) or redis.call("EXISTS", trashed .. id) == 1)
  seen[id] = true
  letters[n] = is_there and "p" or "n"
  if is_there then purged[#purged + 1], keys[#keys + 1] = id, trashed .. id end
end
if #purged == 0 then return table.concat(letters) end

redis.call("ZREM", trash, unpack(purged))
redis.call("UNLINK", unpack(keys))
record(holdfast, now_ms, actor, reason, request, "purge", cjson.encode(purged), #purged)
return table.concat(letters)
`,
};

export function purge(keys: PurgeKeys, head: PurgeHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.ids, head.actor, head.reason, head.request];
  return { script: purgeScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface QueuesKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface QueuesHead {
  readonly maxGroups: Argument;
}

export const queuesScript: Script = {
  name: "queues",
  sha1: "052972a9f204acca5e669dcf03b72fbd550cf565",
  text: `-- How each queue is doing. Writes nothing; what is of another type than it should be counts as nothing.
-- KEYS: the two prefixes of each queue.
-- Reply, flat, so many a queue: paused (0 or 1), pending, active, scheduled, retry, archived, archived aside, completed,
-- aggregating, processed, failed, since when the next to run waits (ns, or ""); the lowest scores ("" for none) of lease,
-- scheduled, retry, archived, archived aside, completed; since when it is paused (""), and of our own note of that, since
-- when, who and why.
local deadline_ms, max_groups = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end

local function number(...)
  local answer = redis.pcall(...)
  return type(answer) == "number" and answer or 0
end
local function text(...)
  local answer = redis.pcall(...)
  return type(answer) == "string" and answer or ""
end

local function lowest(key)
  local found = redis.pcall("ZRANGE", key, 0, 0, "WITHSCORES")
  return found[2] or ""
end

local function aggregating(asynq)
  local groups = redis.pcall("SRANDMEMBER", asynq .. "groups", max_groups)
  local sum = 0
  for _, group in ipairs(groups) do sum = sum + number("ZCARD", asynq .. "g:" .. group) end
  return sum
end

local reply = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  local pause = redis.pcall("HMGET", holdfast .. "pause", "since", "actor", "reason")
  local next_id = text("LINDEX", asynq .. "pending", -1)
  for _, value in ipairs({
    number("EXISTS", asynq .. "paused"),
    number("LLEN", asynq .. "pending"),
    number("LLEN", asynq .. "active"),
    number("ZCARD", asynq .. "scheduled"),
    number("ZCARD", asynq .. "retry"),
    number("ZCARD", asynq .. "archived"),
    number("ZCARD", holdfast .. "archived"),
    number("ZCARD", asynq .. "completed"),
    aggregating(asynq),
    text("GET", asynq .. "processed"),
    text("GET", asynq .. "failed"),
    text("HGET", asynq .. "t:" .. next_id, "pending_since"),
    lowest(asynq .. "lease"),
    lowest(asynq .. "scheduled"),
    lowest(asynq .. "retry"),
    lowest(asynq .. "archived"),
    lowest(holdfast .. "archived"),
    lowest(asynq .. "completed"),
    text("GET", asynq .. "paused"),
    pause[1] or "",
    pause[2] or "",
    pause[3] or "",
  }) do
    reply[#reply + 1] = value
  end
end
return reply
`,
};

export function queues(keys: readonly QueuesKeys[], head: QueuesHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.maxGroups];
  return { script: queuesScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface ReclaimKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface ReclaimHead {
  readonly nowS: Argument;
  readonly nowNs: Argument;
  readonly day: Argument;
  readonly keepUntilS: Argument;
  readonly keep: Argument;
  readonly beforeS: Argument;
  readonly limit: Argument;
  readonly maxCrashes: Argument;
  readonly graceS: Argument;
  readonly quarantined: Argument;
  readonly quarantinedBytes: Argument;
  readonly once: Argument;
  readonly onceBytes: Argument;
}

export const reclaimScript: Script = {
  name: "reclaim",
  sha1: "278c4a01b1ad9a54a6eccd69e6fbacb97dc27828",
  text: `-- Leases that ran out: the task goes back to the front of pending with one crash more; past the bound of crashes, or
-- when it may run once only, to the archive.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { notes, number, id, to, crashes, … } with to "pending" or "archived"; notes are { number, id or "", problem, … }.
local deadline_ms, now_s, now_ns, day, keep_until_s, keep, before_s, limit, max_crashes, grace_s, quarantined, quarantined_bytes, once, once_bytes = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
local largest = "9223372036854775807"
local smallest = "-9223372036854775808"

-- What is wrong with a counter, in words that name it; nil when it can be added to.
local function uncountable(key)
  local problem = misfit(key, "string")
  if problem then return problem end
  local value = redis.call("GET", key)
  if not value or value == "0" then return end
  local digits = value:match("^%-?([1-9]%d*)$")
  if not digits or #digits > 19 or (#digits == 19 and digits > largest and value ~= smallest) then
    return key .. " does not hold a count"
  end
end

-- Adds as asynq does: after the largest number comes 1. Answers the sum, and whether it started again.
local function add(key, count)
  local value = redis.call("GET", key)
  if not value or #value < 19 then return redis.call("INCRBY", key, count), false end
  local again = false
  for _ = 1, count do
    if redis.call("GET", key) == largest then
      redis.call("SET", key, 1)
      again = true
    else
      redis.call("INCR", key)
    end
  end
  return 0, again
end

-- The counters that \`tally\` may add to, and what is wrong with another, in words that name it. They are statistics: what
-- stands in the way of one keeps it from counting, and no task from its place.
local function countable(asynq, day, failed)
  local counters, problem = {}, nil
  for _, name in ipairs(failed > 0 and { "processed", "failed" } or { "processed" }) do
    for _, key in ipairs({ asynq .. name, asynq .. name .. ":" .. day }) do
      local wrong = uncountable(key)
      counters[key] = not wrong
      problem = problem or wrong
    end
  end
  return counters, problem
end

-- Counts attempts, \`failed\` of them failures: in all, and on this (UTC) day, where that is \`countable\`.
local function tally(asynq, day, keep_until_s, processed, failed, counters)
  if processed == 0 then return end
  local function add_today(name, count)
    local key = asynq .. name .. ":" .. day
    if counters[key] and add(key, count) == count then redis.call("EXPIREAT", key, keep_until_s) end
  end
  add_today("processed", processed)
  local again = false
  if counters[asynq .. "processed"] then
    local _
    _, again = add(asynq .. "processed", processed)
  end
  if failed == 0 then return end
  add_today("failed", failed)
  if not counters[asynq .. "failed"] then return end
  if again then
    redis.call("SET", asynq .. "failed", failed)
  else
    add(asynq .. "failed", failed)
  end
end
-- A Go peer's trim deletes dead letters past 9,999 or 90 days. So the oldest leave asynq's archive before that, at most
-- \`most\` at a time, with their scores; their hashes stay as they are. Answers how many.
local function move_aside(asynq, holdfast, keep, before_s, most)
  local archived = asynq .. "archived"
  local surplus = redis.call("ZCARD", archived) - keep
  local old = redis.call("ZCOUNT", archived, "-inf", before_s)
  local count = math.min(math.max(surplus, old), most)
  if count <= 0 then return 0 end
  local oldest = redis.call("ZRANGE", archived, 0, count - 1, "WITHSCORES")
  local entries = {}
  for n = 1, #oldest, 2 do
    entries[n], entries[n + 1] = oldest[n + 1], oldest[n]
  end
  redis.call("ZREMRANGEBYRANK", archived, 0, count - 1)
  redis.call("ZADD", holdfast .. "archived", unpack(entries))
  return count
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end
-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
-- Earlier failures of a task are lines of \`hf_history\`, the newest last: at most 10, and 16 KiB. What \`hf_failure\` holds goes
-- there before it is written anew. Answers the new history; nil where it stays as it is, as when a task is given back for the
-- reason it was given back for before.
local function history_with_last(task, failure, given_back)
  local last, history = unpack(redis.pcall("HMGET", task, "hf_failure", "hf_history"), 1, 2)
  if not last or #last > 16384 or last:find("\\n", 1, true) then return end
  local reason = '^{"reason":"[a-z_]+"'
  if given_back and last:match(reason) == failure:match(reason) then return end
  -- Longer than we write it, it is not ours.
  if not history or history == "" or #history > 16384 then return last end
  local lines = history .. "\\n" .. last
  local count, at = 1, lines:find("\\n", 1, true)
  while at do count, at = count + 1, lines:find("\\n", at + 1, true) end
  while count > 10 or #lines > 16384 do
    lines, count = lines:sub(lines:find("\\n", 1, true) + 1), count - 1
  end
  return lines
end

local reply = { {} }
local left = tonumber(limit)

local function note(number, id, problem)
  local notes = reply[1]
  notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = number, id, problem
end

local function misfits(asynq, holdfast)
  return misfit(asynq .. "active", "list") or misfit(asynq .. "lease", "zset") or misfit(holdfast .. "leases", "hash")
    or misfit(asynq .. "pending", "list") or misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset")
    or misfit(holdfast .. "broken", "list") or misfit(holdfast .. "unleased", "hash")
end

-- Ids whose lease is over. Ours are at once; those of a Go worker, whose clock may be wrong, after a grace.
local function expired(asynq, holdfast)
  local found = redis.call("ZRANGEBYSCORE", asynq .. "lease", "-inf", now_s, "WITHSCORES", "LIMIT", 0, left + 64)
  local ids, scores = {}, {}
  for n = 1, #found, 2 do
    ids[#ids + 1], scores[#scores + 1] = found[n], found[n + 1]
  end
  if #ids == 0 then return ids end
  local due = {}
  for n, holder in ipairs(redis.call("HMGET", holdfast .. "leases", unpack(ids))) do
    local ours = holder and holder:sub(-#scores[n] - 1) == ":" .. scores[n]
    if #due < left and (ours or tonumber(scores[n]) <= now_s - grace_s) then due[#due + 1] = ids[n] end
  end
  return due
end

-- Longer than any lease is.
local endless_s = 86400

-- How many active ids are looked at in one place.
local window = 200

-- Active ids: the oldest, at the tail, and a piece of the others. Which piece goes by the time, so that all of them are
-- looked at again and again, by whichever worker.
local function some_active(asynq)
  local key = asynq .. "active"
  local ids = redis.call("LRANGE", key, -window, -1)
  local pieces = math.ceil((redis.call("LLEN", key) - window) / window)
  if pieces <= 0 then return ids end
  local from = math.floor(tonumber(now_s) * 0.6180339887 % 1 * pieces) * window
  for _, id in ipairs(redis.call("LRANGE", key, from, from + window - 1)) do ids[#ids + 1] = id end
  return ids
end

-- Ids in active without any lease, and leases that would never end: nothing else would ever find either. And ids that
-- were seen to have a lease.
local function suspects(asynq)
  local ids = redis.call("ZRANGEBYSCORE", asynq .. "lease", now_s + endless_s, "+inf", "LIMIT", 0, 50)
  local seen, sound = {}, {}
  for _, id in ipairs(ids) do seen[id] = true end
  local active = some_active(asynq)
  if #active == 0 then return ids, sound end
  for n, score in ipairs(redis.call("ZMSCORE", asynq .. "lease", unpack(active))) do
    local id = active[n]
    if not seen[id] then
      seen[id] = true
      if score then sound[#sound + 1] = id else ids[#ids + 1] = id end
    end
  end
  return ids, sound
end

-- A lease is missing for good when it is missed twice, a grace apart.
local function unleased(asynq, holdfast, most)
  local sightings = holdfast .. "unleased"
  local due, news = {}, {}
  local ids, sound = suspects(asynq)
  if redis.call("EXISTS", sightings) == 1 and #sound > 0 then redis.call("HDEL", sightings, unpack(sound)) end
  if #ids == 0 then return due end
  for n, first in ipairs(redis.call("HMGET", sightings, unpack(ids))) do
    local since = tonumber(first or now_s) or tonumber(now_s)
    if #due < most and since <= now_s - grace_s then
      due[#due + 1] = ids[n]
    else
      news[#news + 1], news[#news + 2] = ids[n], since
    end
  end
  -- What shrinks comes first, because a server whose memory is full refuses HSET as a script's first write.
  redis.call("HDEL", sightings, unpack(ids))
  if #news > 0 then
    redis.call("HSET", sightings, unpack(news))
    redis.call("EXPIRE", sightings, 3600)
  end
  return due
end

-- A count in a task's hash, into which anyone may have written anything.
local function count_of(text)
  return text and text:match("^%d%d?%d?%d?$") and tonumber(text) or 0
end

-- Mostly nothing is active, and every worker asks again and again. What is not of its type is to be told.
local function is_idle(asynq)
  return redis.pcall("LLEN", asynq .. "active") == 0 and redis.pcall("ZCARD", asynq .. "lease") == 0
end

-- Whether fields can be appended to a message: one that was cut short would take them for what is missing.
local function is_whole(message)
  local at = 1
  local function varint()
    local value, scale = 0, 1
    for _ = 1, 10 do
      local byte = message:byte(at)
      if not byte then return nil end
      at = at + 1
      value = value + byte % 128 * scale
      if byte < 128 then return value end
      scale = scale * 128
    end
  end
  local skip = {
    [0] = function() return varint() and 0 end,
    [1] = function() return 8 end,
    [2] = varint,
    [5] = function() return 4 end,
  }
  while at <= #message do
    local tag = varint()
    local bytes = tag and skip[tag % 8] and skip[tag % 8]()
    if not bytes then return false end
    at = at + bytes
  end
  return at == #message + 1
end

local function reclaim(number, asynq, holdfast, counters)
  local due = expired(asynq, holdfast)
  for _, id in ipairs(unleased(asynq, holdfast, left - #due)) do due[#due + 1] = id end
  if #due == 0 then return end
  local tasks = {}
  for n, id in ipairs(due) do
    tasks[n] = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "hf_crashes", "hf_once", "state")
  end
  for _, id in ipairs(due) do redis.call("LREM", asynq .. "active", -1, id) end
  redis.call("ZREM", asynq .. "lease", unpack(due))
  redis.call("HDEL", holdfast .. "leases", unpack(due))
  local front, archived = {}, {}
  for n, id in ipairs(due) do
    local message, crashes, at_most_once, state = unpack(tasks[n], 1, 4)
    local task = asynq .. "t:" .. id
    if not message then
      redis.call("LPUSH", holdfast .. "broken", id)
      note(number, id, "there is no task of this id")
    elseif state == "active" or not is_in_place(asynq, holdfast, id, state) then
      crashes = count_of(crashes) + 1
      local to = "pending"
      if at_most_once == "1" or crashes >= tonumber(max_crashes) then
        to = "archived"
        local failure, bytes = quarantined, quarantined_bytes
        if at_most_once == "1" then failure, bytes = once, once_bytes end
        archived[#archived + 1], archived[#archived + 2] = now_s, id
        -- The error and its time, appended as protobuf fields: of a repeated field the last one counts.
        if is_whole(message) then message = message .. bytes end
        local history = history_with_last(task, failure, false)
        redis.call("HSET", task, "msg", message, "state", to, "hf_failure", failure, "hf_crashes", crashes)
        if history then redis.call("HSET", task, "hf_history", history) end
        redis.call("HDEL", task, "hf_cancel", "hf_progress")
      else
        -- The one that waited longest is to run first: it goes in last, nearest to the tail.
        table.insert(front, 1, id)
        redis.call("HSET", task, "state", to, "pending_since", now_ns, "hf_crashes", crashes)
      end
      local size = #reply
      reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = number, id, to, crashes
    end
    -- Any other task is where its state says: what was taken out above was a stray.
  end
  if #front > 0 then redis.call("RPUSH", asynq .. "pending", unpack(front)) end
  if #archived > 0 then
    redis.call("ZADD", asynq .. "archived", unpack(archived))
    move_aside(asynq, holdfast, keep, before_s, #archived + 50)
    local dead = {}
    for n = 2, #archived, 2 do dead[n / 2] = archived[n] end
    await_index(holdfast, dead)
    tally(asynq, day, keep_until_s, #archived / 2, #archived / 2, counters)
  end
  left = left - #due
end

for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  if left <= 0 then break end
  local number = (k + 1) / 2
  local problem = not is_idle(asynq) and misfits(asynq, holdfast)
  if problem then
    note(number, "", problem)
  elseif problem == nil then
    -- Settling passes over a counter that cannot count: this is where it is told.
    local counters, uncounted = countable(asynq, day, 1)
    if uncounted then note(number, "", uncounted) end
    reclaim(number, asynq, holdfast, counters)
  end
end
return reply
`,
};

export function reclaim(keys: readonly ReclaimKeys[], head: ReclaimHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowNs, head.day, head.keepUntilS, head.keep, head.beforeS, head.limit, head.maxCrashes, head.graceS, head.quarantined, head.quarantinedBytes, head.once, head.onceBytes];
  return { script: reclaimScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface RememberKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface RememberRow {
  readonly id: Argument;
  readonly token: Argument;
  readonly key: Argument;
  readonly act: Argument;
  readonly result: Argument;
}

export const rememberScript: Script = {
  name: "remember",
  sha1: "d25def2d8f55663041ad9484406f12f12dbb978c",
  text: `-- What is known of the effects of tasks, of one queue: a field of the task for each, "b" and the token of the lease that
-- began it, or "d" and what came of it. Only who holds the task's lease may begin, or take that back: later, somebody else
-- may be about it. That it is done may be told later, too.
-- Reply: an answer a row: "b" begun, "d" and the result, "i" begun by another lease, "o" not begun, "l" the lease is lost.
local asynq, holdfast = unpack(KEYS)
local deadline_ms = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- What the hash of leases holds for a task: the token, and the score with which the lease was written. More than 64
-- bytes, so that Redis keeps the hash as a table: in a listpack, as small values are kept, every look walks the leases.
local function holder(token, score)
  return string.format("%-64s:%s", token, score)
end

-- Writes leases: \`entries\` is { score, id, … }. Redis keeps a small sorted set as a listpack, too, and walks it for each
-- entry: ten times the work at a hundred leases. One long member makes a table of it, which it stays when that is gone.
local long_member = string.rep("-", 65)
local function write_leases(lease, entries)
  if redis.call("EXISTS", lease) == 0 then
    redis.call("ZADD", lease, entries[1], long_member)
    redis.call("ZADD", lease, unpack(entries))
    redis.call("ZREM", lease, long_member)
  else
    redis.call("ZADD", lease, unpack(entries))
  end
end

local lease, leases = asynq .. "lease", holdfast .. "leases"
local readable = not misfit(lease, "zset") and not misfit(leases, "hash")
local function holds(id, token, task)
  local score = readable and redis.call("TYPE", task).ok == "hash" and redis.call("ZSCORE", lease, id)
  return score and redis.call("HGET", leases, id) == holder(token, score)
end

-- Taken out first, because a server whose memory is full refuses HSET as a script's first write.
local function note(task, field, value)
  redis.call("HDEL", task, field)
  redis.call("HSET", task, field, value)
end

local reply = {}
for i = 1, #ROWS, 5 do
  local id, token, key, act, result = unpack(ROWS, i, i + 4)
  local task, field = asynq .. "t:" .. id, "hf_effect:" .. key
  local stored = not misfit(task, "hash") and redis.call("HGET", task, field)
  local mine = stored == "b" .. token

  local answer
  if stored and stored:sub(1, 1) == "d" then
    answer = stored
  elseif act == "done" and (stored or holds(id, token, task)) then
    note(task, field, "d" .. result)
    answer = "d" .. result
  elseif act == "undone" and mine and holds(id, token, task) then
    redis.call("HDEL", task, field)
    answer = "o"
  elseif act == "begin" and not holds(id, token, task) then
    answer = "l"
  elseif act == "begin" and not stored then
    note(task, field, "b" .. token)
    answer = "b"
  else
    answer = mine and "b" or stored and "i" or "o"
  end
  reply[#reply + 1] = answer
end
return reply
`,
};

export function remember(keys: RememberKeys, _head: Record<never, never>, rows: readonly RememberRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline];
  args.push(packedRows(rows, ["id", "token", "key", "act", "result"]));
  return { script: rememberScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface RenewKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface RenewHead {
  readonly untilS: Argument;
}

export interface RenewRow {
  readonly number: Argument;
  readonly id: Argument;
  readonly held: Argument;
}

export const renewScript: Script = {
  name: "renew",
  sha1: "6905f7e7e0c463c568af9c40a321d96541ea9250",
  text: `-- Renew leases that are still held: only the present token may, and only while the score is the one it was written with.
-- KEYS: the two prefixes of each queue; a row says by number which is its own.
-- Reply: a letter a row, r(enewed) or l(ost), t or a when it is renewed and is to be aborted, to be tried again or to be
-- archived; w(rong) when a key of its queue is in the way, "" or which one.
local deadline_ms, until_s = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- What the hash of leases holds for a task: the token, and the score with which the lease was written. More than 64
-- bytes, so that Redis keeps the hash as a table: in a listpack, as small values are kept, every look walks the leases.
local function holder(token, score)
  return string.format("%-64s:%s", token, score)
end

-- Writes leases: \`entries\` is { score, id, … }. Redis keeps a small sorted set as a listpack, too, and walks it for each
-- entry: ten times the work at a hundred leases. One long member makes a table of it, which it stays when that is gone.
local long_member = string.rep("-", 65)
local function write_leases(lease, entries)
  if redis.call("EXISTS", lease) == 0 then
    redis.call("ZADD", lease, entries[1], long_member)
    redis.call("ZADD", lease, unpack(entries))
    redis.call("ZREM", lease, long_member)
  else
    redis.call("ZADD", lease, unpack(entries))
  end
end

local queues = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  queues[#queues + 1] = { tasks = asynq .. "t:", lease = asynq .. "lease", leases = holdfast .. "leases", ids = {}, held = {}, rows = {} }
end
for i = 1, #ROWS, 3 do
  local number, id, held = unpack(ROWS, i, i + 2)
  local queue = queues[tonumber(number)]
  queue.ids[#queue.ids + 1] = id
  queue.held[#queue.held + 1] = held
  queue.rows[#queue.rows + 1] = (i - 1) / 3 + 1
end

local receipts = {}
local letter_of = { retry = "t", archive = "a" }
local wrong = ""

local function renew(queue)
  local problem = misfit(queue.lease, "zset") or misfit(queue.leases, "hash")
  if problem then
    wrong = problem
    for _, at in ipairs(queue.rows) do receipts[at] = "w" end
    return
  end
  local tokens = redis.call("HMGET", queue.leases, unpack(queue.ids))
  local scores = redis.call("ZMSCORE", queue.lease, unpack(queue.ids))
  local ids, entries, holders = {}, {}, {}
  for n, id in ipairs(queue.ids) do
    local at = queue.rows[n]
    if not tokens[n] or not scores[n] or tokens[n] ~= holder(queue.held[n], scores[n]) then
      receipts[at] = "l"
    else
      local how = redis.pcall("HGET", queue.tasks .. id, "hf_cancel")
      receipts[at] = letter_of[how] or "r"
      if tonumber(scores[n]) < tonumber(until_s) then
        ids[#ids + 1] = id
        entries[#entries + 1], entries[#entries + 2] = until_s, id
        holders[#holders + 1], holders[#holders + 2] = id, holder(queue.held[n], until_s)
      end
    end
  end
  if #ids == 0 then return end
  -- Taken out first, because a server whose memory is full refuses ZADD as a script's first write, also to renew.
  redis.call("ZREM", queue.lease, unpack(ids))
  write_leases(queue.lease, entries)
  redis.call("HSET", queue.leases, unpack(holders))
end

for _, queue in ipairs(queues) do
  if #queue.ids > 0 then renew(queue) end
end
return { table.concat(receipts), wrong }
`,
};

export function renew(keys: readonly RenewKeys[], head: RenewHead, rows: readonly RenewRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.untilS];
  args.push(packedRows(rows, ["number", "id", "held"]));
  return { script: renewScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface ReportKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface ReportRow {
  readonly id: Argument;
  readonly held: Argument;
  readonly progress: Argument;
}

export const reportScript: Script = {
  name: "report",
  sha1: "b59d5f8b5c1b5476a9bd4b4465d872e942271126",
  text: `-- Write what handlers report of their tasks, of one queue. Only who holds a task's lease may.
-- Reply: how many were written.
local asynq, holdfast = unpack(KEYS)
local deadline_ms = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- What the hash of leases holds for a task: the token, and the score with which the lease was written. More than 64
-- bytes, so that Redis keeps the hash as a table: in a listpack, as small values are kept, every look walks the leases.
local function holder(token, score)
  return string.format("%-64s:%s", token, score)
end

-- Writes leases: \`entries\` is { score, id, … }. Redis keeps a small sorted set as a listpack, too, and walks it for each
-- entry: ten times the work at a hundred leases. One long member makes a table of it, which it stays when that is gone.
local long_member = string.rep("-", 65)
local function write_leases(lease, entries)
  if redis.call("EXISTS", lease) == 0 then
    redis.call("ZADD", lease, entries[1], long_member)
    redis.call("ZADD", lease, unpack(entries))
    redis.call("ZREM", lease, long_member)
  else
    redis.call("ZADD", lease, unpack(entries))
  end
end

local lease, leases, written = asynq .. "lease", holdfast .. "leases", 0
if misfit(lease, "zset") or misfit(leases, "hash") then return written end
for i = 1, #ROWS, 3 do
  local id, held, progress = unpack(ROWS, i, i + 2)
  local score = redis.call("ZSCORE", lease, id)
  if score and redis.call("HGET", leases, id) == holder(held, score) and not misfit(asynq .. "t:" .. id, "hash") then
    redis.call("HSET", asynq .. "t:" .. id, "hf_progress", progress)
    written = written + 1
  end
end
return written
`,
};

export function report(keys: ReportKeys, _head: Record<never, never>, rows: readonly ReportRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline];
  args.push(packedRows(rows, ["id", "held", "progress"]));
  return { script: reportScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface RestoreKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface RestoreHead {
  readonly nowS: Argument;
  readonly nowMs: Argument;
  readonly keep: Argument;
  readonly beforeS: Argument;
  readonly mark: Argument;
  readonly ids: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const restoreScript: Script = {
  name: "restore",
  sha1: "c92f90186ce6ac7e12c70b7307fb60796d6aa8a8",
  text: `-- Discarded tasks of one queue back among its dead letters, as old as they were, with \`mark\` to say so. A unique lock
-- that would still hold is taken again where nobody has it.
-- Reply: a letter an id: r(estored), l (restored, and another task has its lock), n(ot found), t(aken: there is a task of
-- that id by now); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, keep, before_s, mark, ids, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- A letter for each id of a JSON list, in order; \`seen\` has those of the ids before.
local function letters_for(ids, seen, letter_of)
  local letters = {}
  for n, id in ipairs(cjson.decode(ids)) do
    letters[n] = letter_of(id)
    seen[id] = letters[n]
  end
  return table.concat(letters)
end
-- A Go peer's trim deletes dead letters past 9,999 or 90 days. So the oldest leave asynq's archive before that, at most
-- \`most\` at a time, with their scores; their hashes stay as they are. Answers how many.
local function move_aside(asynq, holdfast, keep, before_s, most)
  local archived = asynq .. "archived"
  local surplus = redis.call("ZCARD", archived) - keep
  local old = redis.call("ZCOUNT", archived, "-inf", before_s)
  local count = math.min(math.max(surplus, old), most)
  if count <= 0 then return 0 end
  local oldest = redis.call("ZRANGE", archived, 0, count - 1, "WITHSCORES")
  local entries = {}
  for n = 1, #oldest, 2 do
    entries[n], entries[n + 1] = oldest[n + 1], oldest[n]
  end
  redis.call("ZREMRANGEBYRANK", archived, 0, count - 1)
  redis.call("ZADD", holdfast .. "archived", unpack(entries))
  return count
end
-- What scripts have to know of a stored message: protobuf fields 5 (the most retries), 6 (failures counted) and 10 (the
-- unique lock); nil when the bytes are no message. Of a repeated field the last one counts.
-- Source: https://protobuf.dev/programming-guides/encoding
local function read_varint(bytes, at)
  local value, scale = 0, 1
  for n = at, at + 9 do
    local byte = bytes:byte(n)
    if not byte then return end
    value = value + byte % 128 * scale
    if byte < 128 then return value, n + 1 end
    scale = scale * 128
  end
end

local function read_message(bytes)
  local found, at = {}, 1
  while at <= #bytes do
    local tag, value
    tag, at = read_varint(bytes, at)
    if not tag then return end
    local wire, number = tag % 8, math.floor(tag / 8)
    if wire == 0 then
      value, at = read_varint(bytes, at)
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      local length
      length, at = read_varint(bytes, at)
      if not length then return end
      if number == 10 then value = bytes:sub(at, at + length - 1) end
      at = at + length
    else
      return
    end
    if not at or at > #bytes + 1 then return end
    found[number] = value
  end
  return { most = found[5] or 0, failed = found[6] or 0, lock = found[10] or "" }
end

-- The message with another number of most retries, in a field appended.
local function with_retries(bytes, most)
  local field = { bytes, string.char(40) }
  repeat
    local low = most % 128
    most = (most - low) / 128
    field[#field + 1] = string.char(most > 0 and low + 128 or low)
  until most == 0
  return table.concat(field)
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end
-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end

local tasks, trash, trashed = asynq .. "t:", holdfast .. "trash", holdfast .. "trash:"
local archived = asynq .. "archived"
local problem = misfit(archived, "zset") or misfit(holdfast .. "archived", "zset") or misfit(trash, "zset")
  or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local chosen, moved, seen = {}, {}, {}

-- Anyone may have written there.
local function noted(text)
  local readable, note = pcall(cjson.decode, text or "")
  note = readable and type(note) == "table" and note or {}
  return tonumber(note.archived) and note.archived or now_s, tonumber(note.lock) or 0
end

local function letter_of(id)
  if seen[id] then return seen[id] == "n" and "n" or "t" end
  local found = redis.pcall("HMGET", trashed .. id, "msg", "unique_key", "hf_trash")
  local message, unique_key, note = unpack(found, 1, 3)
  if not message then return "n" end
  if redis.call("EXISTS", tasks .. id) == 1 then return "t" end
  local score, lock_until = noted(note)
  local task = { id = id, score = score }
  chosen[#chosen + 1] = task
  moved[#moved + 1] = id
  local left_ms = lock_until - now_ms
  if left_ms < 1 then return "r" end
  local lock = unique_key or (read_message(message) or {}).lock
  if not lock or lock:sub(1, #asynq + 7) ~= asynq .. "unique:" then return "r" end
  -- Of two that had the same lock one after the other, one gets it.
  if redis.call("EXISTS", lock) == 1 or seen[lock] then return "l" end
  task.lock, task.left_ms, seen[lock] = lock, left_ms, true
  return "r"
end
local letters = letters_for(ids, seen, letter_of)
if #chosen == 0 then return letters end

-- What shrinks comes first, which a server whose memory is full lets pass, and with it the rest.
redis.call("ZREM", trash, unpack(moved))
local entries = {}
for n, task in ipairs(chosen) do
  local key = tasks .. task.id
  redis.call("HDEL", trashed .. task.id, "hf_trash")
  redis.call("RENAME", trashed .. task.id, key)
  redis.call("HSET", key, "state", "archived", "hf_restored", mark)
  if task.lock then redis.call("SET", task.lock, task.id, "PX", string.format("%.0f", task.left_ms)) end
  entries[2 * n - 1], entries[2 * n] = task.score, task.id
end
redis.call("ZADD", archived, unpack(entries))
move_aside(asynq, holdfast, keep, before_s, #chosen + 50)
await_index(holdfast, moved)
record(holdfast, now_ms, actor, reason, request, "restore", cjson.encode(moved), #moved)
return letters
`,
};

export function restore(keys: RestoreKeys, head: RestoreHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowMs, head.keep, head.beforeS, head.mark, head.ids, head.actor, head.reason, head.request];
  return { script: restoreScript, keys: [keys.asynq, keys.holdfast], args };
}

export interface SealKeys {
  readonly sealed: string;
}

export interface SealHead {
  readonly afterN: Argument;
  readonly afterHash: Argument;
}

export interface SealRow {
  readonly number: Argument;
  readonly hash: Argument;
  readonly text: Argument;
}

export const sealScript: Script = {
  name: "seal",
  sha1: "e31b519639b7f8ca2a309a361e7473e9535663f7",
  text: `-- Append to the sealed chain, as long as it still ends as the sealer has seen it.
-- Reply: 1, or 0 where it ends otherwise, or what is wrong with the key.
local sealed = unpack(KEYS)
local deadline_ms, after_n, after_hash = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end

local problem = misfit(sealed, "zset")
if problem then return problem end
local last, n = unpack(redis.call("ZRANGE", sealed, -1, -1, "WITHSCORES"), 1, 2)
if tonumber(n or 0) ~= tonumber(after_n) then return 0 end
if last and last:match("^%S*") ~= after_hash then return 0 end
for i = 1, #ROWS, 3 do
  local number, hash, text = unpack(ROWS, i, i + 2)
  redis.call("ZADD", sealed, number, hash .. " " .. text)
end
return 1
`,
};

export function seal(keys: SealKeys, head: SealHead, rows: readonly SealRow[]): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.afterN, head.afterHash];
  args.push(packedRows(rows, ["number", "hash", "text"]));
  return { script: sealScript, keys: [keys.sealed], args };
}

export interface StandstillKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface StandstillHead {
  readonly nowS: Argument;
  readonly nowMs: Argument;
  readonly untilMs: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const standstillScript: Script = {
  name: "standstill",
  sha1: "b1292f754e53bd36d233549578c4b93e8177ec53",
  text: `-- Let queues stand still until a time (ms), or, with 0, go on; the queues are known to exist. What paused workers, Go's
-- too, expires with it.
-- KEYS: the two prefixes of each queue.
-- Reply, a queue: 1 when that changed it, 0 when it went on already, or what is wrong with a key.
local deadline_ms, now_s, now_ms, until_ms, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local function set(asynq, holdfast)
  local still, paused, by = holdfast .. "standstill", asynq .. "paused", holdfast .. "pause"
  local problem = misfit(still, "string") or misfit(paused, "string") or misfit(by, "hash")
    or misfit(holdfast .. "audit", "stream")
  if problem then return problem end
  -- A pause that does not expire is a person's, and stays.
  local ours = redis.call("PTTL", paused) > 0
  if until_ms == "0" then
    if redis.call("UNLINK", still) == 0 then return 0 end
    if ours then redis.call("UNLINK", paused, by) end
    record(holdfast, now_ms, actor, reason, request, "end maintenance", "", 0)
    return 1
  end
  redis.call("SET", still, table.concat({ until_ms, now_ms, actor, reason }, "\\t"), "PXAT", until_ms)
  if ours or redis.call("EXISTS", paused) == 0 then
    redis.call("UNLINK", by)
    redis.call("SET", paused, now_s, "PXAT", until_ms)
    redis.call("HSET", by, "since", now_s, "actor", actor, "reason", reason, "request", request)
    redis.call("PEXPIREAT", by, until_ms)
  end
  record(holdfast, now_ms, actor, reason, request, "begin maintenance", "", 0)
  return 1
end

local reply = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  reply[#reply + 1] = set(asynq, holdfast)
end
return reply
`,
};

export function standstill(keys: readonly StandstillKeys[], head: StandstillHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowS, head.nowMs, head.untilMs, head.actor, head.reason, head.request];
  return { script: standstillScript, keys: keys.flatMap((key) => [key.asynq, key.holdfast]), args };
}

export interface UpdateKeys {
  readonly asynq: string;
  readonly holdfast: string;
}

export interface UpdateHead {
  readonly nowMs: Argument;
  readonly id: Argument;
  readonly seen: Argument;
  readonly message: Argument;
  readonly lock: Argument;
  readonly nextLock: Argument;
  readonly actor: Argument;
  readonly reason: Argument;
  readonly request: Argument;
}

export const updateScript: Script = {
  name: "update",
  sha1: "17e9f152704e0b862f197b5668d8e5be2e36a8e3",
  text: `-- Another payload for a task that waits: its message, as long as it is the one from which the new one was made, and with
-- it the unique lock that stands for the payload, for as long as it still holds.
-- Reply: "updated", "notFound", "wrongState", "duplicate", "changed", or what is wrong with a key.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, id, seen, message, lock, next_lock, actor, reason, request = unpack(ARGV)
-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by \`now\`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
-- What is wrong with a key, in words that name it; nil when it can take a \`kind\` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
-- Who did what and why, beside the deed: about the last ten thousand of a log. \`n\` counts them, so that one that is
-- missing is missed.
local function record_in(log, at_ms, actor, reason, request, verb, what, count)
  local n, last = 0, redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  for k = 1, last and #last[2] or 0, 2 do
    if last[2][k] == "n" then n = tonumber(last[2][k + 1]) or 0 end
  end
  redis.call("XADD", log, "MAXLEN", "~", 10000, "*", "at", at_ms, "actor", actor, "reason", reason,
    "request", request, "verb", verb, "what", what, "count", count, "n", string.format("%.0f", n + 1))
end
local function record(holdfast, at_ms, actor, reason, request, verb, what, count)
  record_in(holdfast .. "audit", at_ms, actor, reason, request, verb, what, count)
end

local task = asynq .. "t:" .. id
local found = redis.pcall("HMGET", task, "msg", "state", "unique_key")
local stored, state, unique_key = unpack(found, 1, 3)
if not stored then return "notFound" end
if state ~= "pending" and state ~= "scheduled" and state ~= "retry" then return "wrongState" end
if stored ~= seen then return "changed" end
local problem = misfit(holdfast .. "audit", "stream")
if problem then return problem end

if lock ~= next_lock then
  problem = misfit(lock, "string") or misfit(next_lock, "string")
  if problem then return problem end
  local holder = redis.call("GET", next_lock)
  if holder and holder ~= id then return "duplicate" end
  local left_ms = redis.call("GET", lock) == id and redis.call("PTTL", lock)
  -- What shrinks comes first, which a server whose memory is full lets pass, and with it the rest.
  if left_ms then
    redis.call("UNLINK", lock)
    redis.call("SET", next_lock, id)
    if left_ms > 0 then redis.call("PEXPIRE", next_lock, left_ms) end
  end
  if unique_key then redis.call("HSET", task, "unique_key", next_lock) end
end
redis.call("HSET", task, "msg", message)
record(holdfast, now_ms, actor, reason, request, "payload", cjson.encode({ id }), 1)
return "updated"
`,
};

export function update(keys: UpdateKeys, head: UpdateHead): ScriptCall {
  const args: ScriptCall["args"][number][] = [deadline, head.nowMs, head.id, head.seen, head.message, head.lock, head.nextLock, head.actor, head.reason, head.request];
  return { script: updateScript, keys: [keys.asynq, keys.holdfast], args };
}
