-- Append acts to a log that belongs to no queue.
-- Reply: "appended", or what is wrong with the key.
local log = unpack(KEYS)
local deadline_ms, now_ms = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include audit

local problem = misfit(log, "stream")
if problem then return problem end
-- A first write that needs no memory: then a server whose memory is full lets the others pass, too.
redis.call("XTRIM", log, "MAXLEN", "~", 10000)
for i = 1, #ROWS, 6 do
  local actor, reason, request, verb, what, count = unpack(ROWS, i, i + 5)
  record_in(log, now_ms, actor, reason, request, verb, what, count)
end
return "appended"
