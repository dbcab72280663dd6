-- Settle what is finished, then lease what comes next: the hot path, in one trip.
-- KEYS: the two prefixes of each queue. The first `lease_queues` of them are leased from, in that order; a row says by
-- number which queue is its own.
-- A row moves its task to: "gone", "completed", "retry", "returned" (to retry, but no failure), "archived", "released".
-- Most tasks just go: those without a lock need no row, they come in `gone_groups` that share what a row would say of
-- each, as JSON: [[number, held, made, [id, …]], …].
-- Reply: { receipts, notes, more, dry, paused, sizes, bytes, rest }. A receipt is a letter, for each id of the groups
-- and then for each row: s(ettled), l(ost), b(roken: there is no task to write to), w(rong: a key is in the way, nothing was written for this queue).
-- Notes are { number, id or "", problem, … }: tasks and queues that were set aside or passed over. `more` is 1 when a queue
-- may hold more that could be leased: an answer's bound was met, or tasks were set aside. `dry` are the numbers, with
-- commas, of queues looked at that hold no more, `paused` of those that are paused. What was leased is two strings, for a
-- list of them is dear to take apart: `sizes`, "number id message" for each task with the lengths of its id and message,
-- and `bytes`, ids and messages one after the other. `rest` is { which of them, crashes, returns, once, spooled, … } for those of
-- which there is more to say.
-- Of what is leased the first `startable` start at once, the others wait in the worker; `limits` is one for each queue that
-- is leased from, as JSON, or "".
local deadline_ms, now_s, now_ns, day, keep_until_s, bucket, keep, before_s, worker, token, until_s, limit, startable, limits, suspects, max_crashes, lease_queues, max_bytes, gone_groups = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include counters
--! include archive
--! include groups
--! include holder
--! include place
--! include keep
--! include history

local notes = {}
local function note(number, id, problem)
  notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = number, id, problem
end

local queues = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  queues[#queues + 1] = {
    number = #queues + 1, asynq = asynq, holdfast = holdfast, tasks = asynq .. "t:",
    pending = asynq .. "pending", active = asynq .. "active", lease = asynq .. "lease", leases = holdfast .. "leases",
    ids = {}, held = {}, made = {}, rows = {}, at = {},
  }
end

-- Where a finished id is remembered, and how long: one that came through a spool ("s…") may come again much later.
local function done_key(holdfast, made)
  local bucket, keep_s = made:match("^s(%d+)/?(%d*)$")
  if bucket then return holdfast .. "spooled:" .. bucket, spooled_for(keep_s) end
  return holdfast .. "done:" .. made, done_s
end

-- What is wrong with the keys that every settling and leasing writes.
local function misfits(queue)
  return misfit(queue.active, "list") or misfit(queue.lease, "zset") or misfit(queue.leases, "hash")
end

-- Settle ------------------------------------------------------------------------------------------------------------

local receipts = {}
local wrong = false
local finished = 0
local function finish(queue, id, held, made, row)
  finished = finished + 1
  local n = #queue.ids + 1
  queue.ids[n], queue.held[n], queue.made[n], queue.rows[n], queue.at[n] = id, held, made, row, finished
end
for _, group in ipairs(cjson.decode(gone_groups)) do
  local number, held, made, ids = unpack(group)
  for _, id in ipairs(ids) do finish(queues[number], id, held, made, false) end
end
for i = 1, #ROWS, 9 do
  local number, id, held, move, message, score, lock, detail, made = unpack(ROWS, i, i + 8)
  finish(queues[tonumber(number)], id, held, made, i)
end

local processed_by = { gone = 1, completed = 1, retry = 1, archived = 1, returned = 0, released = 0 }
local failed_by = { gone = 0, completed = 0, retry = 1, archived = 1, returned = 0, released = 0 }
local target_of = { completed = "completed", retry = "retry", returned = "retry", archived = "archived" }

-- Looks at all that is to be settled: fills `plan` with what is to be written, and answers what is wrong with a key, if anything is.
local function examine(queue, plan)
  local problem = misfits(queue)
  if problem then return problem end
  local tokens = redis.call("HMGET", queue.leases, unpack(queue.ids))
  local scores = redis.call("ZMSCORE", queue.lease, unpack(queue.ids))
  local seen, moves = {}, {}
  -- Neighbours were mostly leased together: their holder is made once.
  local held, score, expected
  for n, id in ipairs(queue.ids) do
    local at, i = queue.at[n], queue.rows[n]
    if queue.held[n] ~= held or scores[n] ~= score then
      held, score = queue.held[n], scores[n]
      expected = score and holder(held, score)
    end
    if not score or tokens[n] ~= expected or seen[id] then
      receipts[at] = "l"
    else
      local move, message, lock = "gone", "", ""
      if i then
        local _
        _, _, _, move, message, _, lock = unpack(ROWS, i, i + 8)
      end
      local made = queue.made[n]
      seen[id] = true
      receipts[at] = "s"
      plan.ids[#plan.ids + 1] = id
      if move == "gone" then
        plan.unlink[#plan.unlink + 1] = queue.tasks .. id
        if made ~= "" then
          local done = plan.done[made] or {}
          plan.done[made] = done
          done[#done + 1] = id
        end
      else
        local found = redis.call("TYPE", queue.tasks .. id).ok
        if found == "hash" or (found == "none" and message ~= "") then
          plan.kept[#plan.kept + 1] = i
        else
          move = "broken"
          receipts[at] = "b"
          plan.broken[#plan.broken + 1] = id
          note(queue.number, id, found == "none" and "the task is gone" or queue.tasks .. id .. " is a " .. found .. ", not a hash")
        end
      end
      if lock ~= "" and redis.pcall("GET", lock) == id then plan.unlink[#plan.unlink + 1] = lock end
      moves[move] = true
      plan.processed = plan.processed + (processed_by[move] or 0)
      plan.failed = plan.failed + (failed_by[move] or 0)
    end
  end
  for move, target in pairs(target_of) do
    if moves[move] then problem = problem or misfit(queue.asynq .. target, "zset") end
  end
  if moves.archived then problem = problem or misfit(queue.holdfast .. "archived", "zset") end
  if moves.released then problem = problem or misfit(queue.pending, "list") end
  if moves.broken then problem = problem or misfit(queue.holdfast .. "broken", "list") end
  for made in pairs(plan.done) do problem = problem or misfit(done_key(queue.holdfast, made), "set") end
  if plan.processed > 0 then plan.counters = countable(queue.asynq, day, plan.failed) end
  return problem
end

-- The tasks that stay, each in its new place.
local function keep_tasks(queue, plan)
  local entries = { completed = {}, retry = {}, archived = {} }
  local front, dead = {}, {}
  for _, i in ipairs(plan.kept) do
    local _, id, _, move, message, score, _, detail = unpack(ROWS, i, i + 8)
    local task = queue.tasks .. id
    local fields = {}
    if message ~= "" then fields = { "msg", message } end
    if move == "completed" then
      fields[#fields + 1], fields[#fields + 2] = "state", "completed"
      if detail ~= "" then fields[#fields + 1], fields[#fields + 2] = "result", detail end
    elseif move == "released" then
      fields[#fields + 1], fields[#fields + 2] = "state", "pending"
      fields[#fields + 1], fields[#fields + 2] = "pending_since", now_ns
      table.insert(front, 1, id)
    else
      fields[#fields + 1], fields[#fields + 2] = "state", target_of[move]
      local history = history_with_last(task, detail, move == "returned")
      fields[#fields + 1], fields[#fields + 2] = "hf_failure", detail
      if history then fields[#fields + 1], fields[#fields + 2] = "hf_history", history end
    end
    redis.call("HSET", task, unpack(fields))
    if move == "completed" then
      redis.call("HDEL", task, "hf_failure", "hf_history", "hf_cancel", "hf_progress")
    elseif move ~= "released" then
      redis.call("HDEL", task, "hf_cancel", "hf_progress")
    end
    -- What never started is as if it had not been leased: its detail is "".
    if detail ~= "" and (move == "returned" or move == "released") then
      local returns = redis.pcall("HINCRBY", task, "hf_returns", 1)
      -- What was there may be no number, or one that would never come to its bound.
      if type(returns) ~= "number" or returns < 1 then redis.call("HSET", task, "hf_returns", 1) end
    end
    if move == "archived" then dead[#dead + 1] = id end
    local list = entries[target_of[move]]
    if list then list[#list + 1], list[#list + 2] = score, id end
  end
  for target, list in pairs(entries) do
    if #list > 0 then redis.call("ZADD", queue.asynq .. target, unpack(list)) end
  end
  -- The first that was leased is the first to run again.
  if #front > 0 then redis.call("RPUSH", queue.pending, unpack(front)) end
  if #entries.archived > 0 then
    move_aside(queue.asynq, queue.holdfast, keep, before_s, #entries.archived + 50)
    await_index(queue.holdfast, dead)
  end
end

local function settle(queue)
  local plan = { ids = {}, unlink = {}, kept = {}, broken = {}, done = {}, processed = 0, failed = 0 }
  local problem = examine(queue, plan)
  if problem then
    wrong = true
    note(queue.number, "", problem)
    for _, at in ipairs(queue.at) do receipts[at] = "w" end
    return
  end
  if #plan.ids == 0 then return end
  -- What shrinks comes first: after that, a server whose memory is full lets the rest pass too.
  for _, id in ipairs(plan.ids) do redis.call("LREM", queue.active, "-1", id) end
  redis.call("ZREM", queue.lease, unpack(plan.ids))
  redis.call("HDEL", queue.leases, unpack(plan.ids))
  if #plan.unlink > 0 then redis.call("UNLINK", unpack(plan.unlink)) end
  if #plan.kept > 0 then keep_tasks(queue, plan) end
  if #plan.broken > 0 then redis.call("LPUSH", queue.holdfast .. "broken", unpack(plan.broken)) end
  for made, ids in pairs(plan.done) do
    local key, keep_s = done_key(queue.holdfast, made)
    redis.call("SADD", key, unpack(ids))
    keep_for(key, keep_s)
  end
  -- Expiry would free such a set while everyone waits; UNLINK frees it beside.
  if next(plan.done) then redis.call("UNLINK", queue.holdfast .. "done:" .. bucket - 13) end
  tally(queue.asynq, day, keep_until_s, plan.processed, plan.failed, plan.counters)
end

for _, queue in ipairs(queues) do
  if #queue.ids > 0 then settle(queue) end
end

-- Lease -------------------------------------------------------------------------------------------------------------

-- How far from the tail of pending others are looked for behind suspects that must wait.
local furthest = 2000

local reply = { table.concat(receipts), notes, 0, "", "", "", "", {} }
local sizes, parts, rest, given = {}, {}, reply[8], {}
local wanted, may_start = tonumber(limit), tonumber(startable)
local most_of = limits ~= "" and cjson.decode(limits) or {}
local dry, paused = {}, {}
local bytes = 0
-- A task that may not crash once more runs alone: nothing else is leased in its turn.
local alone = false
max_bytes, suspects, lease_queues, max_crashes = tonumber(max_bytes), tonumber(suspects), tonumber(lease_queues), tonumber(max_crashes)

local function may_hold_more()
  reply[3] = 1
end

local function give(queue, id, task)
  local message, crashes, returns, once, _, spooled = unpack(task, 1, 6)
  local n = #parts
  parts[n + 1], parts[n + 2] = id, message
  sizes[#sizes + 1] = string.format("%d %d %d", queue.number, #id, #message)
  if crashes or returns or once or spooled then
    for _, value in ipairs({ n / 2, crashes or "0", returns or "0", once or "", spooled or "" }) do rest[#rest + 1] = value end
  end
  given[n + 1], given[n + 2] = queue.number, id
  bytes = bytes + #message
  wanted, may_start = wanted - 1, may_start - 1
end

local function hold(queue, ids)
  local scores, holders, us = {}, {}, holder(token, until_s)
  for n, id in ipairs(ids) do
    scores[2 * n - 1], scores[2 * n] = until_s, id
    holders[2 * n - 1], holders[2 * n] = id, us
  end
  write_leases(queue.lease, scores)
  redis.call("HSET", queue.leases, unpack(holders))
end

-- Looks at a piece of pending in the order of running (from its tail), until enough are found. Strays are second entries
-- of a task that is held, or already chosen, or has its place in another state.
local function look(queue, window, found)
  for n = #window, 1, -1 do
    if found.left <= 0 or alone then break end
    local first = #given + #found.ids == 0
    if found.room <= 0 and not first then
      found.left = 0
      return may_hold_more()
    end
    local id = window[n]
    local task = redis.pcall("HMGET", queue.tasks .. id, "msg", "hf_crashes", "hf_returns", "hf_once", "state", "hf_spool")
    local message, crashes, _, once, state = unpack(task, 1, 5)
    local last_try = crashes and (tonumber(crashes) or 0) >= max_crashes - 1
    if found.chosen[id] or (message and state ~= "pending" and is_in_place(queue.asynq, queue.holdfast, id, state)) then
      found.strays[#found.strays + 1] = id
    elseif not message then
      found.broken[#found.broken + 1] = id
    elseif crashes and (suspects <= 0 or (last_try and not first)) then
      found.passed = true
    elseif (crashes or once) and #found.ids >= may_start then
      -- These are not leased ahead: of a task that waited in a worker which died, nobody could say that it never ran.
      -- Nor is anything else, from any queue: it would take the slots for which this one waits.
      found.left = 0
      wanted = math.min(wanted, #found.ids)
    else
      if crashes then
        suspects = suspects - 1
        -- Nothing is leased ahead beside it.
        found.left = math.min(found.left, may_start - #found.ids)
        wanted = math.min(wanted, may_start)
      end
      alone = last_try
      found.left, found.room = found.left - 1, found.room - #message
      found.chosen[id] = true
      found.ids[#found.ids + 1], found.tasks[#found.tasks + 1] = id, task
    end
  end
end

-- Chooses from pending: mostly its last entries. Behind suspects that must wait, and what is no task at all, others may
-- be ready: for some the walk goes on for a little, for none it goes far.
local function choose(queue, left)
  local found = { ids = {}, tasks = {}, chosen = {}, broken = {}, strays = {}, passed = false, left = left, room = max_bytes - bytes }
  local looked, step = 0, left
  repeat
    local window = redis.call("LRANGE", queue.pending, -(looked + step), -(looked + 1))
    look(queue, window, found)
    local ended = #window < step
    looked = looked + #window
    local far = looked >= (#found.ids > 0 and left + 64 or furthest)
    if far and not ended and not alone and found.left > 0 and #found.broken + #found.strays > 0 then may_hold_more() end
    step = math.min(looked == left and 64 or step * 2, furthest - looked)
    found.dry = ended and found.left > 0 and not alone and not found.passed
  until found.left <= 0 or alone or ended or far
  return found
end

local function lease(queue)
  if redis.call("EXISTS", queue.asynq .. "paused") == 1 then
    paused[#paused + 1] = queue.number
    return
  end
  if redis.call("EXISTS", queue.pending) == 0 then
    dry[#dry + 1] = queue.number
    return
  end
  local left = math.min(wanted, most_of[queue.number] or wanted)
  if left <= 0 then return end
  local problem = misfit(queue.pending, "list") or misfits(queue) or misfit(queue.holdfast .. "broken", "list")
  if problem then return note(queue.number, "", problem) end
  local found = choose(queue, left)
  if found.dry then dry[#dry + 1] = queue.number end
  if not found.passed and #found.broken + #found.strays == 0 then
    if #found.ids > 0 then redis.call("LTRIM", queue.pending, 0, -(#found.ids + 1)) end
  else
    for _, id in ipairs(found.ids) do redis.call("LREM", queue.pending, "-1", id) end
    for _, id in ipairs(found.strays) do redis.call("LREM", queue.pending, "-1", id) end
    for _, id in ipairs(found.broken) do
      redis.call("LREM", queue.pending, "-1", id)
      redis.call("LPUSH", queue.holdfast .. "broken", id)
      note(queue.number, id, "there is no task of this id")
    end
  end
  if #found.ids == 0 then return end
  redis.call("LPUSH", queue.active, unpack(found.ids))
  hold(queue, found.ids)
  for n, id in ipairs(found.ids) do
    redis.call("HSET", queue.tasks .. id, "state", "active")
    redis.call("HDEL", queue.tasks .. id, "pending_since", "hf_progress")
    give(queue, id, found.tasks[n])
  end
end

-- The same request again, its reply was lost: it gets the tasks that it still holds, their leases renewed.
local function lease_again(last)
  for n = 2, #last, 2 do
    local number, id = unpack(last, n, n + 1)
    local queue = queues[tonumber(number)]
    local score = redis.pcall("ZSCORE", queue.lease, id)
    if type(score) == "string" and redis.pcall("HGET", queue.leases, id) == holder(token, score) then
      local task = redis.pcall("HMGET", queue.tasks .. id, "msg", "hf_crashes", "hf_returns", "hf_once", "state", "hf_spool")
      if task[1] then
        -- Taken out first, because a server whose memory is full refuses ZADD as a script's first write.
        redis.call("ZREM", queue.lease, id)
        hold(queue, { id })
        give(queue, id, task)
      end
    end
  end
  -- Whether there was more has been lost with the reply.
  if wanted > 0 then may_hold_more() end
end

local function answer()
  reply[4], reply[5] = table.concat(dry, ","), table.concat(paused, ",")
  reply[6], reply[7] = table.concat(sizes, " "), table.concat(parts)
  return reply
end

if wanted <= 0 then return reply end
local request = queues[1].holdfast .. "req:" .. worker
if redis.pcall("LINDEX", request, 0) == token then
  lease_again(redis.call("LRANGE", request, 0, -1))
  return answer()
end
-- The sender will hear of an error instead of tasks.
if wrong then return reply end
for number = 1, lease_queues do
  if wanted <= 0 or alone then break end
  if bytes >= max_bytes then
    may_hold_more()
    break
  end
  lease(queues[number])
end
if #given > 0 then
  redis.call("UNLINK", request)
  redis.call("RPUSH", request, token, unpack(given))
  -- As long as its leases last, a request may come again.
  redis.call("EXPIRE", request, math.max(60, until_s - now_s))
end
return answer()
