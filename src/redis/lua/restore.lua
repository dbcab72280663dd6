-- Discarded tasks of one queue back among its dead letters, as old as they were, with `mark` to say so. A unique lock
-- that would still hold is taken again where nobody has it.
-- Reply: a letter an id: r(estored), l (restored, and another task has its lock), n(ot found), t(aken: there is a task of
-- that id by now); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, keep, before_s, mark, ids, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include letters
--! include archive
--! include message
--! include audit
--! include groups

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
