-- Pause queues, or let them go on; the queues are known to exist.
-- KEYS: the two prefixes of each queue.
-- Reply, a queue: 1 when that changed it, 0 when it was so already, or what is wrong with a key.
local deadline_ms, now_s, now_ms, paused, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

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
