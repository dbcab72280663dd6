-- What became of attempts: adds to counters of one queue. Beyond `most` fields a new one is counted as the other that each
-- row names.
-- Reply: how many were counted under another name.
local outcomes = unpack(KEYS)
local deadline_ms, most = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types

local problem = misfit(outcomes, "hash")
if problem then return redis.error_reply("WRONGTYPE " .. problem) end

local room = tonumber(most) - redis.call("HLEN", outcomes)
local moved = 0
for i = 1, #ROWS, 3 do
  local field, other, count = unpack(ROWS, i, i + 2)
  if redis.call("HEXISTS", outcomes, field) == 0 then
    if room > 0 then
      room = room - 1
    else
      field = other
      moved = moved + 1
    end
  end
  -- Another program may have written what is no number there: it is the one that is not counted.
  local counted = redis.pcall("HINCRBY", outcomes, field, count)
  if type(counted) == "table" and counted.err and counted.err:match("OOM") then return counted end
end
return moved
