-- Write what handlers report of their tasks, of one queue. Only who holds a task's lease may.
-- Reply: how many were written.
local asynq, holdfast = unpack(KEYS)
local deadline_ms = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include holder

local lease, leases, written = asynq .. "lease", holdfast .. "leases", 0
if misfit(lease, "zset") or misfit(leases, "hash") then return written end
for i = 1, #ROWS, 3 do
  local id, held, progress = unpack(ROWS, i, i + 2)
  local score = redis.call("ZSCORE", lease, id)
  if score and redis.call("HGET", leases, id) == holder(held, score) and not misfit(asynq .. "t:" .. id, "hash") then
    redis.call("HSET", asynq .. "t:" .. id, "hf_progress", progress)
    written = written + 1
  end
end
return written
