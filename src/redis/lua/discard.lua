-- Dead letters of one queue into its trash, out of which they come back until `until_s`. Their unique locks are released;
-- how long they would have held is noted, for the way back.
-- Reply: a letter an id: d(iscarded), n(ot found), w(rong state), t(aken: the trash holds another task of that id); or
-- { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, until_s, ids, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include letters
--! include message
--! include place
--! include audit
--! include groups

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
