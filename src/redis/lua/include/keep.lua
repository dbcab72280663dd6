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
