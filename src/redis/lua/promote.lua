-- What is due moves from scheduled and retry to pending; a task with a group (a Go peer's) moves into its group.
-- KEYS: the two prefixes of each queue, in the order in which to look.
-- Reply: { moved, next due score or "", notes }; notes are { number, id or "", problem, … }.
local deadline_ms, now_s, now_ns, limit = unpack(ARGV)
--! include fence
--! include types
--! include place

local left, next_s = tonumber(limit), nil
local notes = {}
local function note(number, id, problem)
  notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = number, id, problem
end

local function misfits(asynq, holdfast)
  return misfit(asynq .. "scheduled", "zset") or misfit(asynq .. "retry", "zset") or misfit(asynq .. "pending", "list")
    or misfit(asynq .. "groups", "set") or misfit(holdfast .. "broken", "list")
end

local function promote(number, asynq, holdfast, state)
  local from = asynq .. state
  local due = redis.call("ZRANGEBYSCORE", from, "-inf", now_s, "LIMIT", 0, left)
  if #due == 0 then return end
  local tasks = {}
  for n, id in ipairs(due) do
    tasks[n] = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "group", "state")
  end
  redis.call("ZREM", from, unpack(due))
  local ready = {}
  for n, id in ipairs(due) do
    local task = asynq .. "t:" .. id
    local message, group, its_state = unpack(tasks[n], 1, 3)
    if not message then
      redis.call("LPUSH", holdfast .. "broken", id)
      note(number, id, "there is no task of this id")
    elseif its_state ~= state and is_in_place(asynq, holdfast, id, its_state) then
      -- A stray: it runs, waits or rests elsewhere.
    elseif group and group ~= "" and not misfit(asynq .. "g:" .. group, "zset") then
      redis.call("ZADD", asynq .. "g:" .. group, now_s, id)
      redis.call("SADD", asynq .. "groups", group)
      redis.call("HSET", task, "state", "aggregating")
    else
      ready[#ready + 1] = id
      redis.call("HSET", task, "state", "pending", "pending_since", now_ns)
    end
  end
  if #ready > 0 then redis.call("LPUSH", asynq .. "pending", unpack(ready)) end
  left = left - #due
end

local states = { "scheduled", "retry" }

local function sooner(score, other)
  return score and (not other or tonumber(score) < tonumber(other)) and score or other
end

-- The score of what falls due next in a queue, if anything does; what is no sorted set is to be looked at now.
local function next_of(asynq)
  local soonest
  for _, state in ipairs(states) do
    local first = redis.pcall("ZRANGE", asynq .. state, 0, 0, "WITHSCORES")
    soonest = sooner(first.err and "-inf" or first[2], soonest)
  end
  return soonest
end

for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  local number = (k + 1) / 2
  -- Mostly nothing is due, and every worker asks each second.
  local soonest = next_of(asynq)
  local problem
  if soonest and tonumber(soonest) <= tonumber(now_s) then
    problem = misfits(asynq, holdfast)
    if problem then
      note(number, "", problem)
    else
      for _, state in ipairs(states) do
        if left > 0 then promote(number, asynq, holdfast, state) end
      end
      soonest = next_of(asynq)
    end
  end
  if not problem then next_s = sooner(soonest, next_s) end
end
return { limit - left, next_s or "", notes }
