-- Move tasks of one queue to pending, to the archive, or out of the world: those of `ids` (JSON), or the first `limit` of
-- a state when `state` names one; of all groups when `group` names none. What is ordered by the time it is due goes on from
-- `cursor`, for tasks that come back are in front of those that have not moved yet.
-- Reply: what is wrong with a key, for which nothing was written, or { receipts, moved, skipped, more, notes }; `more` is
-- a cursor, or "". A receipt
-- is a letter an id: m(oved), n(ot found), w(rong state), a(gain: not looked at, for the call had enough to do). Notes are
-- { 1, id, problem, … }: entries that were no task, set aside.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_s, now_ms, now_ns, to, attempts, failure, max_crashes, keep, before_s, horizon_ms, bucket_ms, state, group, cursor, ids, limit, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include archive
--! include groups
--! include message
--! include keep
--! include done
--! include audit
--! include place
--! include history

local tasks, lease, pending, groups = asynq .. "t:", asynq .. "lease", asynq .. "pending", asynq .. "groups"
local archived, aside = asynq .. "archived", holdfast .. "archived"
attempts, max_crashes, limit = tonumber(attempts), tonumber(max_crashes), tonumber(limit)
local by_ids = state == ""

-- Look ----------------------------------------------------------------------------------------------------------------

local checked, problem = {}, nil
-- Whether a key can be worked with; what is wrong with the first that cannot is the reply.
local function fits(key, kind)
  if checked[key] == nil then checked[key] = misfit(key, kind) or false end
  problem = problem or checked[key]
  return not checked[key]
end

-- What is to be written: the tasks that move, the ids that leave each key, and those of them that are no task.
local chosen, from, broken = {}, {}, {}
local seen, left_groups = {}, {}
local strays = 0
local function leave(key, id)
  from[key] = from[key] or {}
  table.insert(from[key], id)
end

-- The sorted sets that hold the ids of a state, the oldest first.
local function sets_of(of_state, of_group)
  if of_state == "archived" then return { aside, archived } end
  if of_state == "aggregating" then return of_group and { asynq .. "g:" .. of_group } or {} end
  return { asynq .. of_state }
end
local is_state = { pending = 1, active = 1, scheduled = 1, retry = 1, archived = 1, completed = 1, aggregating = 1 }

local function read(id)
  local found = redis.pcall("HMGET", tasks .. id, "msg", "state", "unique_key", "group", "hf_crashes", "hf_spool")
  local message, its_state, lock, its_group, crashes, spooled = unpack(found, 1, 6)
  return message
    and { id = id, message = message, state = its_state, lock = lock, group = its_group, crashes = crashes, spooled = spooled }
end

-- The sets of a state that hold this task; for pending, where a look costs the length of the list, as it says itself.
local function places(task)
  local found = {}
  if task.state == "pending" then return { pending } end
  if not is_state[task.state] or task.state == "active" then return found end
  for _, key in ipairs(sets_of(task.state, task.group)) do
    if fits(key, "zset") and redis.call("ZSCORE", key, task.id) then found[#found + 1] = key end
  end
  return found
end

-- A task of pending is looked for from the tail, which takes as long as it is far away: so many entries in one call, but
-- always one task. Tasks that are moved together are often neighbours: those around one that was found are known.
local may_walk, walked, neighbours = 300000, 0, 1000
local index_of = {}
local function look_for(id)
  local index = redis.call("LPOS", pending, id, "RANK", -1)
  walked = walked + redis.call("LLEN", pending) - (index or 0)
  if not index then
    index_of[id] = false
    return
  end
  local first = math.max(0, index - neighbours)
  for n, other in ipairs(redis.call("LRANGE", pending, first, index + neighbours)) do index_of[other] = first + n - 1 end
end

local function receipt_of(id)
  if seen[id] == "m" then return to == "deleted" and "n" or "w" end
  if seen[id] then return seen[id] end
  local task = read(id)
  if not task or not task.state then return "n" end
  if task.state == to or not is_state[task.state] or task.state == "active" then return "w" end
  local there = places(task)
  if task.state == "pending" and fits(pending, "list") then
    if index_of[id] == nil then
      if walked > may_walk then return "a" end
      look_for(id)
    end
    if not index_of[id] then there = {} end
  end
  -- A task whose aggregation has begun is in a set of its own, and somebody else's; one with a lease is its worker's.
  if #there == 0 and (task.state == "aggregating" or is_member(lease, id)) then return "w" end
  for _, key in ipairs(there) do leave(key, id) end
  if task.state == "aggregating" then left_groups[task.group] = true end
  chosen[#chosen + 1] = task
  return "m"
end

-- A key of another type hides what is to be there again when it is gone: a task whose state says so may be in it.
local function look_open(task)
  if task.state == "pending" then
    fits(pending, "list")
  elseif task.state == "active" then
    fits(lease, "zset")
  elseif is_state[task.state] then
    for _, key in ipairs(sets_of(task.state, task.group)) do fits(key, "zset") end
  end
end

-- Entries of one place, its first: tasks that are there, what is no task, and strays, whose task is elsewhere.
local function choose(key, entries)
  for _, id in ipairs(entries) do
    leave(key, id)
    local task = not seen[id] and read(id)
    if seen[id] then
      strays = strays + 1
    elseif not task then
      broken[#broken + 1] = id
    elseif task.state ~= state and is_in_place(asynq, holdfast, id, task.state) then
      strays = strays + 1
    else
      if task.state ~= state then look_open(task) end
      chosen[#chosen + 1] = task
    end
    seen[id] = true
  end
  limit = limit - #entries
end

local function choose_from_sets(keys)
  for _, key in ipairs(keys) do
    if limit > 0 and fits(key, "zset") then choose(key, redis.call("ZRANGE", key, 0, limit - 1)) end
  end
end

-- The first from the cursor on, a score: to the last one's, from which the next call goes on.
local function choose_due(key)
  if not fits(key, "zset") then return end
  local from_score = tonumber(cursor) and cursor or "-inf"
  local scored, entries = redis.call("ZRANGE", key, from_score, "+inf", "BYSCORE", "LIMIT", 0, limit, "WITHSCORES"), {}
  for n = 1, #scored, 2 do entries[#entries + 1] = scored[n] end
  cursor = scored[#scored] or "+inf"
  choose(key, entries)
end

local receipts = {}
local chosen_groups = {}
if by_ids then
  for n, id in ipairs(cjson.decode(ids)) do
    receipts[n] = receipt_of(id)
    seen[id] = receipts[n]
  end
elseif state == "pending" then
  if fits(pending, "list") then
    local tail, entries = redis.call("LRANGE", pending, -limit, -1), {}
    for n = #tail, 1, -1 do entries[#entries + 1] = tail[n] end
    choose(pending, entries)
  end
elseif state == "aggregating" then
  chosen_groups = { group }
  if group == "" then chosen_groups = fits(groups, "set") and redis.call("SRANDMEMBER", groups, 100) or {} end
  for _, name in ipairs(chosen_groups) do
    choose_from_sets(sets_of(state, name))
    left_groups[name] = true
  end
elseif state == "retry" or state == "scheduled" then
  choose_due(asynq .. state)
else
  choose_from_sets(sets_of(state))
end
if next(left_groups) then fits(groups, "set") end
if #broken > 0 then fits(holdfast .. "broken", "list") end
if #chosen > 0 then
  fits(holdfast .. "audit", "stream")
  if to == "pending" then fits(pending, "list") end
  if to == "archived" then
    fits(archived, "zset")
    fits(aside, "zset")
  end
end
if problem then return problem end

-- Write: what shrinks comes first, which a server whose memory is full lets pass, and with it the rest ---------------------

-- Entries of a list, whose indexes are known, in one walk: first they are all made the same.
local gone = "\0gone"
local function take_out(ids)
  -- What is marked takes no more memory than before, but LSET may not come first.
  redis.pcall("ZREM", lease, unpack(ids))
  local marked = 0
  for _, id in ipairs(ids) do
    if index_of[id] then
      redis.call("LSET", pending, index_of[id], gone)
      marked = marked + 1
    end
  end
  if marked > 0 then redis.call("LREM", pending, -marked, gone) end
end

for key, leaving in pairs(from) do
  if key ~= pending then
    redis.call("ZREM", key, unpack(leaving))
  elseif by_ids then
    take_out(leaving)
  else
    redis.call("LTRIM", pending, 0, -#leaving - 1)
  end
end
for name in pairs(left_groups) do
  if redis.call("EXISTS", asynq .. "g:" .. name) == 0 then redis.call("SREM", groups, name) end
end

local moved = {}
for n, task in ipairs(chosen) do moved[n] = task.id end

local function delete_tasks()
  local unlink, spooled = {}, {}
  for _, task in ipairs(chosen) do
    spooled[task.id] = task.spooled
    unlink[#unlink + 1] = tasks .. task.id
    -- A task that came to a group has its lock in the message alone.
    local lock = task.lock or (read_message(task.message) or {}).lock
    if lock and lock:sub(1, #asynq + 7) == asynq .. "unique:" and redis.pcall("GET", lock) == task.id then
      unlink[#unlink + 1] = lock
    end
  end
  redis.call("UNLINK", unpack(unlink))
  remember(holdfast, moved, spooled)
end

-- At least `attempts` runs before the task is a dead letter again, whether it fails or takes its workers down.
local function renew_tries(task)
  local known = read_message(task.message)
  local most = known and math.min(known.failed + attempts - 1, 2147483647)
  -- A negative number is a varint above 2^63.
  if known and known.failed < 2147483648 and (known.most < most or known.most >= 2147483648) then
    redis.call("HSET", tasks .. task.id, "msg", with_retries(task.message, most))
  end
  local crashes = max_crashes - attempts
  if task.crashes and (tonumber(task.crashes) or 0) > crashes then
    if crashes > 0 then
      redis.call("HSET", tasks .. task.id, "hf_crashes", crashes)
    else
      redis.call("HDEL", tasks .. task.id, "hf_crashes")
    end
  end
end

local function run_tasks()
  for _, task in ipairs(chosen) do
    redis.call("HSET", tasks .. task.id, "state", "pending", "pending_since", now_ns)
    if attempts > 1 then renew_tries(task) end
  end
  redis.call("LPUSH", pending, unpack(moved))
end

local function archive_tasks()
  local entries = {}
  for n, task in ipairs(chosen) do
    entries[2 * n - 1], entries[2 * n] = now_s, task.id
    local key = tasks .. task.id
    local history = history_with_last(key, failure, false)
    redis.call("HSET", key, "state", "archived", "hf_failure", failure)
    if history then redis.call("HSET", key, "hf_history", history) end
  end
  redis.call("ZADD", archived, unpack(entries))
  move_aside(asynq, holdfast, keep, before_s, #chosen + 50)
  await_index(holdfast, moved)
end

local notes = {}
if #chosen > 0 then
  local verb
  local dead = {}
  for _, task in ipairs(chosen) do
    if task.state == "archived" then dead[#dead + 1] = task.id end
  end
  leave_groups(asynq, holdfast, dead)
  if to == "deleted" then
    verb = "delete"
    delete_tasks()
  elseif to == "pending" then
    verb = "run"
    run_tasks()
  else
    verb = "archive"
    archive_tasks()
  end
  local what = by_ids and cjson.encode(moved) or group == "" and state or state .. " " .. group
  record(holdfast, now_ms, actor, reason, request, verb, what, #chosen)
end
if #broken > 0 then
  redis.call("LPUSH", holdfast .. "broken", unpack(broken))
  for _, id in ipairs(broken) do
    notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = 1, id, "there is no task of this id"
  end
end

local more = ""
if state == "retry" or state == "scheduled" then
  if redis.call("ZCOUNT", asynq .. state, cursor, "+inf") > 0 then more = cursor end
elseif not by_ids then
  local rest = state == "pending" and { pending } or state == "aggregating" and group == "" and { groups } or sets_of(state, group)
  if redis.call("EXISTS", unpack(rest)) > 0 then more = "more" end
end
return { table.concat(receipts), #chosen, #broken + strays, more, notes }
