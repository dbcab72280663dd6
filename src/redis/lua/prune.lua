-- Completed tasks past their retention are deleted; dead letters past the bounds leave asynq's archive for ours; leases
-- of tasks that a Go peer finished are dropped; what was discarded and is not to be restored any more goes for good.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { how many tasks, notes }; notes are { number, id or "", problem, … }.
local deadline_ms, now_s, now_ms, keep, before_s, limit, horizon_ms, bucket_ms = unpack(ARGV)
--! include fence
--! include types
--! include archive
--! include keep
--! include done
--! include place
--! include audit

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
