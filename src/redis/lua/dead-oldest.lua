-- The oldest dead letter of a queue that nobody has acknowledged. Looks at `limit` of each of its two archives, behind a place.
-- Writes nothing.
-- Reply, for each archive: when the first such one died, or ""; id and score of the last one before it that was looked at, or
-- of the place; 1 where there may be more behind it; how many there are from it on, or that were not looked at.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, limit, aside_id, aside_score, id, score = unpack(ARGV)
--! include fence

local function rank_behind(key, place_id, place_score)
  if place_score == "" then return 0 end
  if redis.pcall("ZSCORE", key, place_id) == place_score then return redis.pcall("ZRANK", key, place_id) + 1 end
  -- It is gone, or died anew: those of its second are looked at again.
  local before = redis.pcall("ZCOUNT", key, "-inf", "(" .. place_score)
  return type(before) == "number" and before or 0
end

-- What is in the archive alone, and is no dead letter, is nobody's business.
local function waits(letter, died_s)
  local state, ack = unpack(redis.pcall("HMGET", asynq .. "t:" .. letter, "state", "hf_ack"), 1, 2)
  if state ~= "archived" then return false end
  local known, mark = pcall(cjson.decode, ack or "")
  local stands = known
    and type(mark) == "table"
    and type(mark.at) == "number"
    and type(mark.actor) == "string"
    and mark.at >= died_s * 1000
  return not stands
end

local reply = {}
local function look(key, place_id, place_score)
  local from = rank_behind(key, place_id, place_score)
  local entries = redis.pcall("ZRANGE", key, from, from + limit - 1, "WITHSCORES")
  if entries.err then entries = {} end
  local found, passed = "", from
  for n = 1, #entries, 2 do
    if waits(entries[n], tonumber(entries[n + 1])) then
      found = entries[n + 1]
      break
    end
    place_id, place_score = entries[n], entries[n + 1]
    passed = passed + 1
  end
  local size = redis.pcall("ZCARD", key)
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3] = found, place_id, place_score
  reply[at + 4] = #entries == 2 * limit and 1 or 0
  reply[at + 5] = type(size) == "number" and math.max(0, size - passed) or 0
end
look(holdfast .. "archived", aside_id, aside_score)
look(asynq .. "archived", id, score)
return reply
