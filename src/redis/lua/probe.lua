-- Whether a task of this queue would be taken now: a write that leaves nothing behind for long. A server that is full, has too few
-- replicas or is one itself refuses it, as it refuses tasks; a PING it answers.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ns = unpack(ARGV)
--! include fence
--! include standstill
redis.call("SET", holdfast .. "barrier", "", "EX", 60)
return 1
