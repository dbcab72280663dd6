-- A call that arrives after its deadline (a stalled server, a connection that woke up) must do nothing: its sender has
-- given it up and may have sent it again. TIME serves this alone; all else is decided by `now`.
if tonumber(deadline_ms) > 0 then
  local time = redis.call("TIME")
  local time_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  if time_ms > tonumber(deadline_ms) then return redis.error_reply("STALE " .. time_ms) end
end
