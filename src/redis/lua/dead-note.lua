-- Note what became of tasks of a redrive, each once: "waiting" (to be looked at again at `look_ms`), "notMoved", or how it
-- ended. Ends are counted by their `cause`, too, as long as the redrive has not begun a later round; a new round counts
-- from nothing, and causes past `max_causes` are one. A row with a `fix` puts the task itself right, where it is in this
-- queue, if it is still as `expected`: a completed one that was only kept to be seen ends its retention at `until_s`
-- ("expire"), a dead letter or one that waits gets its own `message` back ("restore"). One that runs does not: whoever runs
-- it has the message in his hands, and writes that again.
-- Reply: what is wrong with a key, for which nothing was written, or the number of tasks noted as ended.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, redrive, round, max_causes = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include place
--! include dead

local marks, left, awaited, counts = redrive_keys(holdfast, redrive)
local completed = asynq .. "completed"
local problem = misfit(marks, "hash") or misfit(left, "zset") or misfit(awaited, "zset") or misfit(counts, "hash") or misfit(completed, "zset")
if problem then return problem end

local waits = { archived = true, pending = true, scheduled = true, retry = true, aggregating = true }
local function put_right(id, fix, until_s, expected, message)
  local key = asynq .. "t:" .. id
  local found = redis.pcall("HMGET", key, "state", "msg", "hf_redrive")
  local state, stored, by = found[1], found[2], found[3]
  -- In another queue than it was chosen in, its hash says nothing.
  if (by and by ~= redrive) or stored ~= expected then return end
  if fix == "expire" and state == "completed" then
    redis.call("ZADD", completed, "XX", until_s, id)
  elseif fix == "restore" and waits[state] then
    if state == "archived" then redis.call("HDEL", key, "hf_redrive") end
    redis.call("HSET", key, "msg", message)
  end
end

local counted_round, known
-- Most notes are of tasks that still wait: what is counted is looked at when the first one has ended.
local function begin_to_count()
  counted_round, known = tonumber(redis.call("HGET", counts, "round")) or 0, 0
  if tonumber(round) < counted_round then return end
  local old = {}
  for _, field in ipairs(redis.call("HKEYS", counts)) do
    if field:sub(1, 6) == "ended:" then known = known + 1 end
    if field:sub(1, 6) == "ended:" or field:sub(1, 7) == "failed:" then old[#old + 1] = field end
  end
  if tonumber(round) == counted_round then return end
  if #old > 0 then redis.call("HDEL", counts, unpack(old)) end
  redis.call("HSET", counts, "round", round)
  counted_round, known = tonumber(round), 0
end

local function count_cause(cause, became)
  if not counted_round then begin_to_count() end
  if tonumber(round) < counted_round then return end
  if redis.call("HEXISTS", counts, "ended:" .. cause) == 0 then
    if known >= tonumber(max_causes) then cause = "others" end
    known = known + 1
  end
  redis.call("HINCRBY", counts, "ended:" .. cause, 1)
  if became == "failedSame" or became == "failedOther" then redis.call("HINCRBY", counts, "failed:" .. cause, 1) end
end

local ended = 0
for i = 1, #ROWS, 9 do
  local id, became, mark, cause, look_ms, fix, until_s, expected, message = unpack(ROWS, i, i + 8)
  if became == "waiting" then
    redis.call("ZADD", awaited, "XX", look_ms, id)
  elseif became ~= "" then
    local was = became == "notMoved" and left or awaited
    if redis.call("ZREM", was, id) == 1 then
      redis.call("HSET", marks, id, became .. " " .. mark)
      redis.call("HINCRBY", counts, became, 1)
      if cause ~= "" then count_cause(cause, became) end
      ended = ended + 1
    end
  end
  if fix ~= "" then put_right(id, fix, until_s, expected, message) end
end
return ended
