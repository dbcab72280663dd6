-- How each queue is doing. Writes nothing; what is of another type than it should be counts as nothing.
-- KEYS: the two prefixes of each queue.
-- Reply, flat, so many a queue: paused (0 or 1), pending, active, scheduled, retry, archived, archived aside, completed,
-- aggregating, processed, failed, since when the next to run waits (ns, or ""); the lowest scores ("" for none) of lease,
-- scheduled, retry, archived, archived aside, completed; since when it is paused (""), and of our own note of that, since
-- when, who and why.
local deadline_ms, max_groups = unpack(ARGV)
--! include fence

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
