-- Let queues stand still until a time (ms), or, with 0, go on; the queues are known to exist. What paused workers, Go's
-- too, expires with it.
-- KEYS: the two prefixes of each queue.
-- Reply, a queue: 1 when that changed it, 0 when it went on already, or what is wrong with a key.
local deadline_ms, now_s, now_ms, until_ms, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

local function set(asynq, holdfast)
  local still, paused, by = holdfast .. "standstill", asynq .. "paused", holdfast .. "pause"
  local problem = misfit(still, "string") or misfit(paused, "string") or misfit(by, "hash")
    or misfit(holdfast .. "audit", "stream")
  if problem then return problem end
  -- A pause that does not expire is a person's, and stays.
  local ours = redis.call("PTTL", paused) > 0
  if until_ms == "0" then
    if redis.call("UNLINK", still) == 0 then return 0 end
    if ours then redis.call("UNLINK", paused, by) end
    record(holdfast, now_ms, actor, reason, request, "end maintenance", "", 0)
    return 1
  end
  redis.call("SET", still, table.concat({ until_ms, now_ms, actor, reason }, "\t"), "PXAT", until_ms)
  if ours or redis.call("EXISTS", paused) == 0 then
    redis.call("UNLINK", by)
    redis.call("SET", paused, now_s, "PXAT", until_ms)
    redis.call("HSET", by, "since", now_s, "actor", actor, "reason", reason, "request", request)
    redis.call("PEXPIREAT", by, until_ms)
  end
  record(holdfast, now_ms, actor, reason, request, "begin maintenance", "", 0)
  return 1
end

local reply = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  reply[#reply + 1] = set(asynq, holdfast)
end
return reply
