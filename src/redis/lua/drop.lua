-- Remove a queue bit by bit: at most `limit` of its tasks, and when there are none, whatever else has its name. Nothing
-- knows those keys, so the key space is walked, a little with each call; `drop` remembers how far. Until the end the queue
-- is paused. A key of another type than it should be holds no tasks, and goes with the rest.
-- Reply: "dropped", "more", "notEmpty" or "active".
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, force, limit, others, pattern, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

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
