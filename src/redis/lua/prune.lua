-- Completed tasks past their retention are deleted; dead letters past the bounds leave asynq's archive for ours; leases
-- of tasks that a Go peer finished are dropped.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { how many tasks, notes }; notes are { number, "", problem, … }.
local deadline_ms, now_s, now_ms, keep, before_s, limit, horizon_ms, bucket_ms = unpack(ARGV)
--! include fence
--! include types
--! include archive
--! include done

local left = tonumber(limit)
local notes = {}

local function misfits(asynq, holdfast)
  return misfit(asynq .. "completed", "zset") or misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset")
    or misfit(asynq .. "lease", "zset") or misfit(holdfast .. "leases", "hash")
end

local function forget_completed(asynq, holdfast)
  local ids = redis.call("ZRANGEBYSCORE", asynq .. "completed", "-inf", now_s, "LIMIT", 0, left)
  if #ids == 0 then return end
  redis.call("ZREM", asynq .. "completed", unpack(ids))
  remember(holdfast, ids)
  for n, id in ipairs(ids) do ids[n] = asynq .. "t:" .. id end
  redis.call("UNLINK", unpack(ids))
  left = left - #ids
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

for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  if left <= 0 then break end
  local problem = misfits(asynq, holdfast)
  if problem then
    notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = (k + 1) / 2, "", problem
  else
    forget_completed(asynq, holdfast)
    left = left - move_aside(asynq, holdfast, keep, before_s, left)
    sweep_leases(asynq, holdfast)
  end
end
return { limit - left, notes }
