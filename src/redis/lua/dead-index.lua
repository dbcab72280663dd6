-- Dead letters come to their failure groups, if they still are what they were when they were looked at. `about` says, with
-- the first row of each group, what is known of its rows together, as JSON; it is merged into what the group has. Groups
-- past `max_groups` of a queue are one, whose fingerprint is all zeros.
-- Reply: what is wrong with a key, for which nothing was written, or how many came.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, max_groups, max_names = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types

local fps, index = holdfast .. "fps", holdfast .. "index"
local overflow = "v1:0000000000000000"
local problem = misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset") or misfit(fps, "hash")
  or misfit(index, "hash") or misfit(holdfast .. "fp:" .. overflow, "zset")
if problem then return problem end
-- Where something else stands in the place of one group, the others get theirs.
local letters, is_barred = {}, {}
for i = 1, #ROWS, 4 do
  local id, score, fp, about = unpack(ROWS, i, i + 3)
  if about ~= "" then is_barred[fp] = misfit(holdfast .. "fp:" .. fp, "zset") end
  if not is_barred[fp] then letters[#letters + 1] = { id = id, score = score, fp = fp, about = about } end
end

local function table_of(text)
  local known, value = pcall(cjson.decode, text or "")
  return known and type(value) == "table" and value or nil
end

-- The first one stays: it says where all began.
local function with_names(names, more)
  if type(names) ~= "table" then return more end
  local seen = {}
  for _, name in ipairs(names) do seen[name] = true end
  for _, name in ipairs(more or {}) do
    if not seen[name] then
      if #names >= tonumber(max_names) then table.remove(names, 2) end
      names[#names + 1] = name
      seen[name] = true
    end
  end
  return names
end

local function merge(fp, text)
  local more, known = table_of(text), table_of(redis.call("HGET", fps, fp))
  if known and more then
    if type(known.first) == "number" then more.first = math.min(known.first, more.first) end
    if type(known.last) == "number" and known.last > more.last then
      more.last = known.last
      more.sample = known.sample
    end
    more.types = with_names(known.types, more.types)
    more.reasons = with_names(known.reasons, more.reasons)
    more.builds = with_names(known.builds, more.builds)
  end
  redis.call("HSET", fps, fp, cjson.encode(more))
end

local home = {}
local function home_of(fp)
  if not home[fp] then
    local has_room = redis.call("HEXISTS", fps, fp) == 1 or redis.call("HLEN", fps) < tonumber(max_groups)
    home[fp] = has_room and fp or overflow
  end
  return home[fp]
end

local came, change = 0, 0
for _, letter in ipairs(letters) do
  local id, at = letter.id, home_of(letter.fp)
  if letter.about ~= "" then merge(at, letter.about) end
  local task = asynq .. "t:" .. id
  local found = redis.pcall("HMGET", task, "state", "hf_fp")
  local there = redis.call("ZSCORE", asynq .. "archived", id) or redis.call("ZSCORE", holdfast .. "archived", id)
  if found[1] == "archived" and there == letter.score then
    if found[2] and found[2] ~= at then
      local gone = redis.pcall("ZREM", holdfast .. "fp:" .. found[2], id)
      if gone == 1 then change = change - 1 end
    end
    redis.call("HSET", task, "hf_fp", at)
    change = change + redis.call("ZADD", holdfast .. "fp:" .. at, there, id)
    came = came + 1
  end
end
if change ~= 0 then redis.call("HINCRBY", index, "count", change) end
return came
