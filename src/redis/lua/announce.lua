-- Write what a worker says of itself, as asynq's servers do: a string, and a hash of the tasks it runs by their ids. Both
-- expire: who does not come again is gone.
-- Reply: nothing.
local server, running = unpack(KEYS)
local deadline_ms, info, ttl_s = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])

redis.call("UNLINK", running)
redis.call("SET", server, info, "EX", ttl_s)
local fields = {}
for i = 1, #ROWS, 2 do
  local id, task = unpack(ROWS, i, i + 1)
  fields[i], fields[i + 1] = id, task
end
if #fields > 0 then
  redis.call("HSET", running, unpack(fields))
  redis.call("EXPIRE", running, ttl_s)
end
