-- What follows a place in sorted sets, or comes before it: the ids of each, by score and, where scores are equal, by
-- their bytes. The place is the one right before the entry (`score`, `id`), whether that entry is there or not; with no
-- `id` it is the beginning or, backwards, the end. Writes nothing.
-- Reply, a set: what is wrong with the key, or { whether there is anything on the other side of the place, ids with
-- scores }, one more than `limit`, so that one sees whether there are more.
local deadline_ms, score, id, limit, backwards = unpack(ARGV)
--! include fence
--! include types

-- As Redis orders members: `<` would go by the server's locale.
local function is_before(a, b)
  for n = 1, math.min(#a, #b) do
    local x, y = a:byte(n), b:byte(n)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- How many entries come before the place.
local function before_place(key)
  if id == "" then return backwards == "1" and redis.call("ZCARD", key) or 0 end
  local low = redis.call("ZCOUNT", key, "-inf", "(" .. score)
  local high = low + redis.call("ZCOUNT", key, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(redis.call("ZRANGE", key, middle, middle)[1], id) then low = middle + 1 else high = middle end
  end
  return low
end

local function window(key)
  local problem = misfit(key, "zset")
  if problem then return problem end
  local before = before_place(key)
  if backwards ~= "1" then
    return { before > 0 and 1 or 0, redis.call("ZRANGE", key, before, before + limit, "WITHSCORES") }
  end
  local rest = redis.call("ZCARD", key) > before and 1 or 0
  if before == 0 then return { rest, {} } end
  return { rest, redis.call("ZRANGE", key, math.max(0, before - limit - 1), before - 1, "WITHSCORES") }
end

local reply = {}
for k = 1, #KEYS, 1 do
  local set = unpack(KEYS, k, k + 0)
  reply[#reply + 1] = window(set)
end
return reply
