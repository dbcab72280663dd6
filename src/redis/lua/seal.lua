-- Append to the sealed chain, as long as it still ends as the sealer has seen it.
-- Reply: 1, or 0 where it ends otherwise, or what is wrong with the key.
local sealed = unpack(KEYS)
local deadline_ms, after_n, after_hash = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types

local problem = misfit(sealed, "zset")
if problem then return problem end
local last, n = unpack(redis.call("ZRANGE", sealed, -1, -1, "WITHSCORES"), 1, 2)
if tonumber(n or 0) ~= tonumber(after_n) then return 0 end
if last and last:match("^%S*") ~= after_hash then return 0 end
for i = 1, #ROWS, 3 do
  local number, hash, text = unpack(ROWS, i, i + 2)
  redis.call("ZADD", sealed, number, hash .. " " .. text)
end
return 1
