-- Put tasks of one queue where they belong: pending, or scheduled.
-- With a queue named it is entered among all queues; where the key of those is elsewhere (a Cluster) it is "".
-- A row is id, message and what is special about it: "" or "due,lock for,once,again,made,lock", times in seconds; `again` is 1 for
-- a repeat, more for one that a spool may repeat for so many seconds after it has finished.
-- Reply: an answer a row, or one for all where they are the same: "+" and the task's state, "d" and the id that holds the
-- unique lock, "t" when the id is taken, "!" and what is wrong with a key that is in the way.
local asynq, holdfast, queues = unpack(KEYS)
local deadline_ms, queue, now_ns = unpack(ARGV)
--! include fence
--! include standstill
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types

local pending, scheduled = asynq .. "pending", asynq .. "scheduled"
local reply = {}
local ready, later = {}, {}

-- The answer for a task that is there already, or has lately been. An id of ours (its time, `made`, is known) is nobody
-- else's: it was there before. Any other id may be used again and by others: there only the same bytes are the same task.
local function is_among(set, id)
  return redis.pcall("SISMEMBER", holdfast .. set, id) == 1
end
local function answer_again(task, id, message, made, spooled)
  if redis.call("EXISTS", task) == 0 then
    local done = made ~= "" and (is_among("done:" .. made, id) or (spooled and is_among("spooled:" .. made, id)))
    return done and "+completed" or nil
  end
  local found = redis.pcall("HMGET", task, "state", "msg")
  local state, stored = found[1], found[2]
  if not state or (made == "" and stored ~= message) then return "t" end
  -- It may have come before it was spooled.
  if spooled then redis.call("HSET", task, "hf_spool", spooled) end
  return "+" .. state
end

-- Nearly always nobody has any of the ids: to ask that once, for all of them, spares each a claim of its own.
local tasks = {}
for n = 1, #ROWS / 3 do tasks[n] = asynq .. "t:" .. ROWS[n * 3 - 2] end
local unclaimed = redis.call("EXISTS", unpack(tasks)) == 0
local claimed_here = {}

-- 1, or 0 where somebody has the id, or the error of a write that was refused.
local function claim(task, message)
  if unclaimed and not claimed_here[task] then return 1 end
  return redis.pcall("HSETNX", task, "msg", message)
end

-- What is wrong with keys that rows share, looked at for the first that needs them.
local shared = {}
local function misfit_for(set, kind)
  if shared[set] == nil then shared[set] = misfit(queues, "set") or misfit(set, kind) or false end
  return shared[set]
end

-- Whole or not at all. Answers an error where no write is taken.
local function put(task, id, message, special)
  local due_s, lock_s, once, again, made, lock = "0", "0", "0", "0", "", ""
  if special ~= "" then
    due_s, lock_s, once, again, made, lock = special:match("^(%d+),(%d+),(%d),(%d+),(%d*),(.*)$")
  end
  local problem
  if due_s == "0" then problem = misfit_for(pending, "list") else problem = misfit_for(scheduled, "zset") end
  local holder = lock ~= "" and redis.pcall("GET", lock)
  if type(holder) == "table" then problem = misfit(lock, "string") end
  if problem then return "!" .. problem end
  local answer = again ~= "0" and answer_again(task, id, message, made, again ~= "1" and again)
  if answer then return answer end
  if holder and not (again ~= "0" and holder == id) then return "d" .. holder end

  local written = claim(task, message)
  if written == 0 then return "t" end
  local state = due_s == "0" and "pending" or "scheduled"
  if written == 1 then
    local fields = { "msg", message, "state", state }
    if due_s == "0" then
      fields[5], fields[6] = "pending_since", now_ns
      ready[#ready + 1] = id
    else
      later[#later + 1], later[#later + 2] = due_s, id
    end
    if lock ~= "" then
      fields[#fields + 1], fields[#fields + 2] = "unique_key", lock
    end
    if once == "1" then
      fields[#fields + 1], fields[#fields + 2] = "hf_once", "1"
    end
    if again ~= "0" and again ~= "1" then
      fields[#fields + 1], fields[#fields + 2] = "hf_spool", again
    end
    written = redis.pcall("HSET", task, unpack(fields))
    claimed_here[task] = true
    if lock ~= "" and type(written) ~= "table" then redis.call("SET", lock, id, "EX", lock_s) end
  end
  if type(written) ~= "table" then return "+" .. state end
  return written.err:find("^WRONGTYPE") and "t" or written
end

-- The same for nearly all tasks, which are new, ready and nothing special: all that is asked above costs a fifth of a call.
local function put_plain(task, id, message)
  local written = redis.pcall("HSET", task, "msg", message, "state", "pending", "pending_since", now_ns)
  if type(written) == "table" then return written end
  claimed_here[task] = true
  ready[#ready + 1] = id
  return "+pending"
end

local fit = not misfit_for(pending, "list")
for i = 1, #ROWS, 3 do
  local id, message, special = unpack(ROWS, i, i + 2)
  local n = (i + 2) / 3
  local task = tasks[n]
  local plain = special == "" and unclaimed and fit and not claimed_here[task]
  local answer = plain and put_plain(task, id, message) or put(task, id, message, special)
  -- Memory is full, or this server takes no writes: true of the first write or of none.
  if type(answer) == "table" then return answer end
  reply[n] = answer
end

if #ready > 0 then redis.call("LPUSH", pending, unpack(ready)) end
if #later > 0 then redis.call("ZADD", scheduled, unpack(later)) end
if #ready + #later > 0 and queue ~= "" then redis.call("SADD", queues, queue) end
for i = 2, #reply do
  if reply[i] ~= reply[1] then return reply end
end
return reply[1]
