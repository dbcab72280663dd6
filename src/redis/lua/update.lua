-- Another payload for a task that waits: its message, as long as it is the one from which the new one was made, and with
-- it the unique lock that stands for the payload, for as long as it still holds.
-- Reply: "updated", "notFound", "wrongState", "duplicate", "changed", or what is wrong with a key.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, id, seen, message, lock, next_lock, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

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
