-- The failure groups of a queue, with what is in them now. Writes nothing.
-- Reply: { how many dead letters, how many of them in groups, fingerprint, what is known of it (JSON), members, members since `hour_s`,
-- since `before_s`, score of the oldest, of the newest, … }; empty groups are told, too.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, hour_s, before_s = unpack(ARGV)
--! include fence

local function number(...)
  local answer = redis.pcall(...)
  return type(answer) == "number" and answer or 0
end
local function score_at(key, rank)
  local entry = redis.pcall("ZRANGE", key, rank, rank, "WITHSCORES")
  return not entry.err and entry[2] or ""
end

local dead = number("ZCARD", asynq .. "archived") + number("ZCARD", holdfast .. "archived")
local reply = { dead, 0 }
local groups = redis.pcall("HGETALL", holdfast .. "fps")
if groups.err then return reply end
for n = 1, #groups, 2 do
  local key = holdfast .. "fp:" .. groups[n]
  local members = number("ZCARD", key)
  reply[2] = reply[2] + members
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3] = groups[n], groups[n + 1], members
  reply[at + 4], reply[at + 5] = number("ZCOUNT", key, hour_s, "+inf"), number("ZCOUNT", key, before_s, "+inf")
  reply[at + 6], reply[at + 7] = score_at(key, 0), score_at(key, -1)
end
return reply
