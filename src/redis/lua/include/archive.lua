-- A Go peer's trim deletes dead letters past 9,999 or 90 days. So the oldest leave asynq's archive before that, at most
-- `most` at a time, with their scores; their hashes stay as they are. Answers how many.
local function move_aside(asynq, holdfast, keep, before_s, most)
  local archived = asynq .. "archived"
  local surplus = redis.call("ZCARD", archived) - keep
  local old = redis.call("ZCOUNT", archived, "-inf", before_s)
  local count = math.min(math.max(surplus, old), most)
  if count <= 0 then return 0 end
  local oldest = redis.call("ZRANGE", archived, 0, count - 1, "WITHSCORES")
  local entries = {}
  for n = 1, #oldest, 2 do
    entries[n], entries[n + 1] = oldest[n + 1], oldest[n]
  end
  redis.call("ZREMRANGEBYRANK", archived, 0, count - 1)
  redis.call("ZADD", holdfast .. "archived", unpack(entries))
  return count
end
