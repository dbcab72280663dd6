-- Deletes dead letters of one queue that are still what their caller has seen: dead since that second, with that message.
-- Their unique locks are released. What goes is counted by its cause, and recorded.
-- Reply: a letter a row: e(victed), n(ot found: no dead letter any more), c(hanged); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, horizon_ms, bucket_ms, cause, actor, reason, request = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include message
--! include keep
--! include done
--! include groups
--! include audit

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
