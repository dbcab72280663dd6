-- Leases that ran out: the task goes back to the front of pending with one crash more; past the bound of crashes, or
-- when it may run once only, to the archive.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { notes, number, id, to, crashes, … } with to "pending" or "archived"; notes are { number, id or "", problem, … }.
local deadline_ms, now_s, now_ns, day, keep_until_s, keep, before_s, limit, max_crashes, grace_s, quarantined, quarantined_bytes, once, once_bytes = unpack(ARGV)
--! include fence
--! include types
--! include counters
--! include archive
--! include groups
--! include place
--! include history

local reply = { {} }
local left = tonumber(limit)

local function note(number, id, problem)
  local notes = reply[1]
  notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = number, id, problem
end

local function misfits(asynq, holdfast)
  return misfit(asynq .. "active", "list") or misfit(asynq .. "lease", "zset") or misfit(holdfast .. "leases", "hash")
    or misfit(asynq .. "pending", "list") or misfit(asynq .. "archived", "zset") or misfit(holdfast .. "archived", "zset")
    or misfit(holdfast .. "broken", "list") or misfit(holdfast .. "unleased", "hash")
end

-- Ids whose lease is over. Ours are at once; those of a Go worker, whose clock may be wrong, after a grace.
local function expired(asynq, holdfast)
  local found = redis.call("ZRANGEBYSCORE", asynq .. "lease", "-inf", now_s, "WITHSCORES", "LIMIT", 0, left + 64)
  local ids, scores = {}, {}
  for n = 1, #found, 2 do
    ids[#ids + 1], scores[#scores + 1] = found[n], found[n + 1]
  end
  if #ids == 0 then return ids end
  local due = {}
  for n, holder in ipairs(redis.call("HMGET", holdfast .. "leases", unpack(ids))) do
    local ours = holder and holder:sub(-#scores[n] - 1) == ":" .. scores[n]
    if #due < left and (ours or tonumber(scores[n]) <= now_s - grace_s) then due[#due + 1] = ids[n] end
  end
  return due
end

-- Longer than any lease is.
local endless_s = 86400

-- How many active ids are looked at in one place.
local window = 200

-- Active ids: the oldest, at the tail, and a piece of the others. Which piece goes by the time, so that all of them are
-- looked at again and again, by whichever worker.
local function some_active(asynq)
  local key = asynq .. "active"
  local ids = redis.call("LRANGE", key, -window, -1)
  local pieces = math.ceil((redis.call("LLEN", key) - window) / window)
  if pieces <= 0 then return ids end
  local from = math.floor(tonumber(now_s) * 0.6180339887 % 1 * pieces) * window
  for _, id in ipairs(redis.call("LRANGE", key, from, from + window - 1)) do ids[#ids + 1] = id end
  return ids
end

-- Ids in active without any lease, and leases that would never end: nothing else would ever find either. And ids that
-- were seen to have a lease.
local function suspects(asynq)
  local ids = redis.call("ZRANGEBYSCORE", asynq .. "lease", now_s + endless_s, "+inf", "LIMIT", 0, 50)
  local seen, sound = {}, {}
  for _, id in ipairs(ids) do seen[id] = true end
  local active = some_active(asynq)
  if #active == 0 then return ids, sound end
  for n, score in ipairs(redis.call("ZMSCORE", asynq .. "lease", unpack(active))) do
    local id = active[n]
    if not seen[id] then
      seen[id] = true
      if score then sound[#sound + 1] = id else ids[#ids + 1] = id end
    end
  end
  return ids, sound
end

-- A lease is missing for good when it is missed twice, a grace apart.
local function unleased(asynq, holdfast, most)
  local sightings = holdfast .. "unleased"
  local due, news = {}, {}
  local ids, sound = suspects(asynq)
  if redis.call("EXISTS", sightings) == 1 and #sound > 0 then redis.call("HDEL", sightings, unpack(sound)) end
  if #ids == 0 then return due end
  for n, first in ipairs(redis.call("HMGET", sightings, unpack(ids))) do
    local since = tonumber(first or now_s) or tonumber(now_s)
    if #due < most and since <= now_s - grace_s then
      due[#due + 1] = ids[n]
    else
      news[#news + 1], news[#news + 2] = ids[n], since
    end
  end
  -- What shrinks comes first, because a server whose memory is full refuses HSET as a script's first write.
  redis.call("HDEL", sightings, unpack(ids))
  if #news > 0 then
    redis.call("HSET", sightings, unpack(news))
    redis.call("EXPIRE", sightings, 3600)
  end
  return due
end

-- A count in a task's hash, into which anyone may have written anything.
local function count_of(text)
  return text and text:match("^%d%d?%d?%d?$") and tonumber(text) or 0
end

-- Mostly nothing is active, and every worker asks again and again. What is not of its type is to be told.
local function is_idle(asynq)
  return redis.pcall("LLEN", asynq .. "active") == 0 and redis.pcall("ZCARD", asynq .. "lease") == 0
end

-- Whether fields can be appended to a message: one that was cut short would take them for what is missing.
local function is_whole(message)
  local at = 1
  local function varint()
    local value, scale = 0, 1
    for _ = 1, 10 do
      local byte = message:byte(at)
      if not byte then return nil end
      at = at + 1
      value = value + byte % 128 * scale
      if byte < 128 then return value end
      scale = scale * 128
    end
  end
  local skip = {
    [0] = function() return varint() and 0 end,
    [1] = function() return 8 end,
    [2] = varint,
    [5] = function() return 4 end,
  }
  while at <= #message do
    local tag = varint()
    local bytes = tag and skip[tag % 8] and skip[tag % 8]()
    if not bytes then return false end
    at = at + bytes
  end
  return at == #message + 1
end

local function reclaim(number, asynq, holdfast, counters)
  local due = expired(asynq, holdfast)
  for _, id in ipairs(unleased(asynq, holdfast, left - #due)) do due[#due + 1] = id end
  if #due == 0 then return end
  local tasks = {}
  for n, id in ipairs(due) do
    tasks[n] = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "hf_crashes", "hf_once", "state")
  end
  for _, id in ipairs(due) do redis.call("LREM", asynq .. "active", -1, id) end
  redis.call("ZREM", asynq .. "lease", unpack(due))
  redis.call("HDEL", holdfast .. "leases", unpack(due))
  local front, archived = {}, {}
  for n, id in ipairs(due) do
    local message, crashes, at_most_once, state = unpack(tasks[n], 1, 4)
    local task = asynq .. "t:" .. id
    if not message then
      redis.call("LPUSH", holdfast .. "broken", id)
      note(number, id, "there is no task of this id")
    elseif state == "active" or not is_in_place(asynq, holdfast, id, state) then
      crashes = count_of(crashes) + 1
      local to = "pending"
      if at_most_once == "1" or crashes >= tonumber(max_crashes) then
        to = "archived"
        local failure, bytes = quarantined, quarantined_bytes
        if at_most_once == "1" then failure, bytes = once, once_bytes end
        archived[#archived + 1], archived[#archived + 2] = now_s, id
        -- The error and its time, appended as protobuf fields: of a repeated field the last one counts.
        if is_whole(message) then message = message .. bytes end
        local history = history_with_last(task, failure, false)
        redis.call("HSET", task, "msg", message, "state", to, "hf_failure", failure, "hf_crashes", crashes)
        if history then redis.call("HSET", task, "hf_history", history) end
        redis.call("HDEL", task, "hf_cancel", "hf_progress")
      else
        -- The one that waited longest is to run first: it goes in last, nearest to the tail.
        table.insert(front, 1, id)
        redis.call("HSET", task, "state", to, "pending_since", now_ns, "hf_crashes", crashes)
      end
      local size = #reply
      reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = number, id, to, crashes
    end
    -- Any other task is where its state says: what was taken out above was a stray.
  end
  if #front > 0 then redis.call("RPUSH", asynq .. "pending", unpack(front)) end
  if #archived > 0 then
    redis.call("ZADD", asynq .. "archived", unpack(archived))
    move_aside(asynq, holdfast, keep, before_s, #archived + 50)
    local dead = {}
    for n = 2, #archived, 2 do dead[n / 2] = archived[n] end
    await_index(holdfast, dead)
    tally(asynq, day, keep_until_s, #archived / 2, #archived / 2, counters)
  end
  left = left - #due
end

for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  if left <= 0 then break end
  local number = (k + 1) / 2
  local problem = not is_idle(asynq) and misfits(asynq, holdfast)
  if problem then
    note(number, "", problem)
  elseif problem == nil then
    -- Settling passes over a counter that cannot count: this is where it is told.
    local counters, uncounted = countable(asynq, day, 1)
    if uncounted then note(number, "", uncounted) end
    reclaim(number, asynq, holdfast, counters)
  end
end
return reply
