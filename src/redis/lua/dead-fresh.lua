-- Dead letters that are in no failure group yet, taken out of the list in which they wait. The list is of our own: what
-- asynq archives is noticed as archives and groups having different sizes, and found by a walk, the newest first; so are
-- members of groups that asynq ran, deleted or trimmed. A walk goes a bounded step with each call, one a second; every ten
-- minutes it goes through all. Where as many went as came the sizes tell nothing: so the newest are looked at whenever they
-- are others than they were, a bounded number of them each second.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { notes, how many were looked at (`limit` where bytes were the bound), number, id, score, failure, message without its payload, … }; notes are
-- { number, "", problem, … }.
local deadline_ms, now_ms, limit, max_bytes, max_read, at_once = unpack(ARGV)
--! include fence
--! include types
--! include message

local left, looked = tonumber(limit), 0
-- For what is told, and for what has to be read for it: payloads are not told.
local room, unread = tonumber(max_bytes), tonumber(max_read)
local notes, reply = {}, {}
local full_ms, largest, most_groups = 600000, 16384, 200
-- How far the newest are looked through in a row, and by how many seconds clocks of other programs may differ.
local most_newest, skew_s = 5000, 10

-- The payload (2) goes, and what is large of fields that nobody knows; all else stays whole, however large: an error's end
-- may say that it is of no use to try again, and headers that cannot be read make a message that cannot be read.
local function without_payload(bytes)
  -- No message, to whoever reads it.
  local unreadable = "\0"
  local parts, at = {}, 1
  while at <= #bytes do
    local from, tag = at, nil
    tag, at = read_varint(bytes, at)
    if not tag then return unreadable end
    local wire, length, _ = tag % 8, 0, nil
    if wire == 0 then
      _, at = read_varint(bytes, at)
      if not at then return unreadable end
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      length, at = read_varint(bytes, at)
      if not length then return unreadable end
      at = at + length
    else
      return unreadable
    end
    local number = math.floor(tag / 8)
    local goes = wire == 2 and (number == 2 or (number > 15 and number < 536870912 and length > largest))
    if not goes then parts[#parts + 1] = bytes:sub(from, at - 1) end
  end
  if at > #bytes + 1 then return unreadable end
  return table.concat(parts)
end

local function misfits(asynq, holdfast)
  return misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset") or misfit(holdfast .. "index", "hash")
    or misfit(holdfast .. "fps", "hash") or misfit(holdfast .. "unindexed", "list")
end

-- Each once. Answers whether it is a dead letter that was not told yet.
local told = {}
local function tell(number, asynq, holdfast, id)
  if told[holdfast .. id] then return false end
  local found = redis.pcall("HMGET", asynq .. "t:" .. id, "state", "msg", "hf_failure")
  if found.err or not found[2] then return false end
  unread = unread - #found[2]
  if found[1] ~= "archived" then return false end
  local score = redis.call("ZSCORE", asynq .. "archived", id) or redis.call("ZSCORE", holdfast .. "archived", id)
  if not score then return false end
  local message, failure = without_payload(found[2]), found[3] or ""
  room = room - #message - #failure
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] = number, id, score, failure, message
  told[holdfast .. id] = true
  return true
end

-- Of entries of an archive with their scores, those that are in no group, or died again since they came to one, are told.
-- Answers how many were looked at, and how many told.
local function tell_missing(number, asynq, holdfast, entries)
  local seen, found = 0, 0
  while 2 * seen < #entries and room > 0 and unread > 0 do
    local id, score = entries[2 * seen + 1], entries[2 * seen + 2]
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    local is_missing = type(fp) ~= "string" or redis.pcall("ZSCORE", holdfast .. "fp:" .. fp, id) ~= score
    if is_missing and tell(number, asynq, holdfast, id) then found = found + 1 end
    seen = seen + 1
  end
  return seen, found
end

-- Which are the newest: one that died again is in the last second, or among the last ones, for the first time. What a clock
-- ahead of ours has archived is not the newest until then: it would hide all others.
local function mark_of(archived)
  local first = redis.call("ZRANGE", archived, now_ms / 1000 + skew_s, "-inf", "BYSCORE", "REV", "LIMIT", 0, 1, "WITHSCORES")
  if #first == 0 then return "" end
  local since = first[2] - skew_s
  local at, near = redis.call("ZCOUNT", archived, first[2], "+inf"), redis.call("ZCOUNT", archived, since, "+inf")
  return table.concat({ since, at, near, first[1] }, " ")
end

-- Through the newest, down to those that were it when they were last looked through; half a step, for a walk through all
-- goes on beside it. `known` is the rank at which to go on, down to which score, and their mark when this look began.
local function tell_newest(number, asynq, holdfast, known)
  local archived = asynq .. "archived"
  local rank, since, mark = known:match("^(%d+) (%S+) (.*)$")
  rank, since = tonumber(rank) or 0, tonumber(since) or -math.huge
  if rank == 0 then
    local now = mark_of(archived)
    if now == (mark or "") then return end
    mark = now
  end
  local most = math.ceil(left / 2)
  local page = redis.call("ZRANGE", archived, rank, rank + most - 1, "REV", "WITHSCORES")
  while #page > 0 and tonumber(page[#page]) < since do page[#page], page[#page - 1] = nil, nil end
  local seen, found = tell_missing(number, asynq, holdfast, page)
  rank = rank + seen
  if 2 * seen == #page and (seen < most or rank >= most_newest) then
    rank, since = 0, mark:match("^%S+") or "-inf"
  end
  redis.call("HSET", holdfast .. "index", "newest", rank .. " " .. since .. " " .. mark, "next", now_ms + 1000)
  looked, left = looked + found, left - found
end

-- Through the archives, the newest first, by rank: what comes meanwhile makes it see some twice, what goes makes it miss
-- some until the next walk. Answers where to go on, and how many it told.
local function seek_missing(number, asynq, holdfast, rank)
  local key, first, near = asynq .. "archived", rank, redis.call("ZCARD", asynq .. "archived")
  if rank >= near then key, first = holdfast .. "archived", rank - near end
  local page = redis.call("ZRANGE", key, first, first + left - 1, "REV", "WITHSCORES")
  local seen, found = tell_missing(number, asynq, holdfast, page)
  looked, left = looked + seen, left - seen
  return seen > 0 and rank + seen or nil, found
end

-- Those of a page of a group that are no dead letters any more go, and those whose id is another dead letter's by now, in
-- another group or in none yet. Answers how many there are on it, and how many went.
local function drop_strays_of(asynq, holdfast, fp, rank, count)
  local key = holdfast .. "fp:" .. fp
  local ids = redis.pcall("ZRANGE", key, rank, rank + count - 1)
  if ids.err or #ids == 0 then return 0, 0 end
  local near, far = redis.call("ZMSCORE", asynq .. "archived", unpack(ids)), redis.call("ZMSCORE", holdfast .. "archived", unpack(ids))
  local strays = {}
  for n, id in ipairs(ids) do
    if not near[n] and not far[n] then
      strays[#strays + 1] = id
      redis.pcall("HDEL", asynq .. "t:" .. id, "hf_fp")
    elseif redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp") ~= fp then
      strays[#strays + 1] = id
    end
  end
  if #strays > 0 then
    redis.call("ZREM", key, unpack(strays))
    redis.call("HINCRBY", holdfast .. "index", "count", -#strays)
  end
  return #ids, #strays
end

-- Through the members of some groups. Answers where to go on, and how many went.
local function drop_strays(asynq, holdfast, fp, rank)
  local names = redis.call("HKEYS", holdfast .. "fps")
  table.sort(names)
  local at = 1
  while names[at] and names[at] < fp do at = at + 1 end
  if names[at] ~= fp then rank = 0 end
  local last, gone_all = at + most_groups, 0
  while names[at] and at < last and left > 0 do
    local wanted = left
    local count, gone = drop_strays_of(asynq, holdfast, names[at], rank, wanted)
    looked = looked + count
    left = left - count
    gone_all = gone_all + gone
    if count < wanted then at, rank = at + 1, 0 else rank = rank + count - gone end
  end
  return names[at], rank, gone_all
end

-- At the end of a walk all is counted; groups that have been empty for long are forgotten.
local function count_members(holdfast)
  local sum, week_s = 0, 604800
  local groups = redis.call("HGETALL", holdfast .. "fps")
  for n = 1, #groups, 2 do
    local members = redis.pcall("ZCARD", holdfast .. "fp:" .. groups[n])
    if type(members) == "number" then sum = sum + members end
    if members == 0 then
      local known, about = pcall(cjson.decode, groups[n + 1])
      local last = known and type(about) == "table" and tonumber(about.last) or 0
      if now_ms / 1000 - last > week_s or #groups > 2000 then redis.call("HDEL", holdfast .. "fps", groups[n]) end
    end
  end
  return sum
end

local function step(number, asynq, holdfast)
  local index = holdfast .. "index"
  local known = redis.call("HMGET", index, "count", "walk", "walked", "left", "next", "full", "began", "newest")
  local count, walk, walked, once_left, next_ms = tonumber(known[1]) or 0, known[2] or "", tonumber(known[3]), known[4], tonumber(known[5]) or 0
  local began, full = known[7] or "", tonumber(known[6]) or 0
  local waiting = redis.call("LLEN", holdfast .. "unindexed")
  local dead = redis.call("ZCARD", asynq .. "archived") + redis.call("ZCARD", holdfast .. "archived")
  if waiting > 0 then
    local ids = redis.call("LRANGE", holdfast .. "unindexed", -math.min(left, waiting), -1)
    local taken = 0
    while taken < #ids and room > 0 and unread > 0 do
      tell(number, asynq, holdfast, ids[#ids - taken])
      taken = taken + 1
    end
    redis.call("RPOP", holdfast .. "unindexed", taken)
    looked = looked + taken
    left = left - taken
  end
  if not walked and dead > 0 then
    redis.call("HSET", index, "walked", now_ms)
    walked = now_ms
  end
  if left <= 0 or room <= 0 or unread <= 0 or (at_once ~= "1" and now_ms < next_ms) then return end
  if full == 0 and dead + count > 0 and walked and now_ms - walked >= full_ms then full, walk = 1, "" end
  local off = dead - count - waiting
  local is_settled = off == 0 or (walk == "" and tostring(off) == once_left and began ~= "again")
  -- All that is ours has been told: what else is new there, asynq put there. A walk that begins sees the newest anyway.
  local begins = waiting == 0 and walk == "" and (full > 0 or (off > 0 and not is_settled))
  if not begins and redis.call("LLEN", holdfast .. "unindexed") == 0 then
    tell_newest(number, asynq, holdfast, known[8] or "")
  end
  -- What was just taken is in no group yet, and would be counted as missing.
  if waiting > 0 and full == 0 then return end
  if full == 0 and is_settled then
    if walk ~= "" then redis.call("HSET", index, "walk", "") end
    return
  end
  if left <= 0 or room <= 0 or unread <= 0 then return end
  -- Where there are too many members, strays alone are looked for first ("g"), and then what they have hidden.
  if walk == "" then
    walk, began = (full > 0 or off > 0) and "m 0" or "g  0", tostring(off)
  end
  local what, fp, rank = walk:match("^(%a) ?(.-) (%d+)$")
  local goes_on, changed
  if what == "m" then
    goes_on, changed = seek_missing(number, asynq, holdfast, tonumber(rank))
    walk = goes_on and "m " .. goes_on or "s  0"
  else
    fp, goes_on, changed = drop_strays(asynq, holdfast, fp or "", tonumber(rank) or 0)
    walk = fp and what .. " " .. fp .. " " .. goes_on or ""
  end
  if changed > 0 then began = "" end
  if walk == "" then
    count, full = count_members(holdfast), 0
    local rest = tostring(dead - count - waiting)
    -- What a whole walk did not mend waits for the next full one. Where it told or mended anything, or the rest is another
    -- than it was, more may have come behind it; not where the rest is the one before again: what was told of it can come to
    -- no group.
    began = (rest == began or rest == once_left) and "" or "again"
    redis.call("HSET", index, "count", count, "walked", now_ms, "left", rest)
  end
  redis.call("HSET", index, "walk", walk, "next", now_ms + 1000, "full", full, "began", began)
end

now_ms = tonumber(now_ms)
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  if left <= 0 or room <= 0 or unread <= 0 then break end
  local problem = misfits(asynq, holdfast)
  if problem then
    notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = (k + 1) / 2, "", problem
  else
    step((k + 1) / 2, asynq, holdfast)
  end
end
if room <= 0 or unread <= 0 then looked = math.max(looked, tonumber(limit)) end
return { notes, looked, unpack(reply) }
