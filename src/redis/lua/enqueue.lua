-- Put tasks of one queue where they belong: pending, or scheduled.
-- With a queue named it is entered among all queues; where the key of those is elsewhere (a Cluster) it is "".
-- Reply: an answer a row: "+" and the task's state, "d" and the id that holds the unique lock,
-- "t" when the id is taken, "!" and what is wrong with a key that is in the way.
local asynq, holdfast, queues = unpack(KEYS)
local deadline_ms, queue, now_ns = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types

local pending, scheduled = asynq .. "pending", asynq .. "scheduled"
local reply = {}
local ready, later = {}, {}

-- The answer for a task that is there already, or has lately been. An id of ours (its time, `made`, is known) is nobody
-- else's: it was there before. Any other id may be used again and by others: there only the same bytes are the same task.
local function answer_again(task, id, message, made)
  if redis.call("EXISTS", task) == 0 then
    local done = made ~= "" and redis.pcall("SISMEMBER", holdfast .. "done:" .. made, id) == 1
    return done and "+completed" or nil
  end
  local found = redis.pcall("HMGET", task, "state", "msg")
  local state, stored = found[1], found[2]
  return state and (made ~= "" or stored == message) and "+" .. state or "t"
end

-- Row by row, each whole or not at all; `shared` is what is wrong with a key that a row would need.
local shared = {
  misfit(queues, "set") or misfit(pending, "list") or false,
  misfit(queues, "set") or misfit(scheduled, "zset") or false,
}
for i = 1, #ROWS, 8 do
  local id, message, due_s, lock, lock_s, once, again, made = unpack(ROWS, i, i + 7)
  local task = asynq .. "t:" .. id
  local problem = shared[due_s == "0" and 1 or 2]
  local holder = lock ~= "" and redis.pcall("GET", lock)
  if type(holder) == "table" then problem = misfit(lock, "string") end

  local answer
  if problem then
    answer = "!" .. problem
  elseif again == "1" then
    answer = answer_again(task, id, message, made)
  end
  if answer then
    -- Nothing is to be done.
  elseif holder and not (again == "1" and holder == id) then
    answer = "d" .. holder
  else
    local claimed = redis.pcall("HSETNX", task, "msg", message)
    if claimed == 1 then
      local state = due_s == "0" and "pending" or "scheduled"
      local fields = { "state", state }
      if due_s == "0" then
        fields[3], fields[4] = "pending_since", now_ns
        ready[#ready + 1] = id
      else
        later[#later + 1], later[#later + 2] = due_s, id
      end
      if lock ~= "" then
        redis.call("SET", lock, id, "EX", lock_s)
        fields[#fields + 1], fields[#fields + 2] = "unique_key", lock
      end
      if once == "1" then
        fields[#fields + 1], fields[#fields + 2] = "hf_once", "1"
      end
      redis.call("HSET", task, unpack(fields))
      answer = "+" .. state
    elseif type(claimed) == "table" and not claimed.err:find("^WRONGTYPE") then
      -- Memory is full, or this server takes no writes: true of the first write or of none.
      return claimed
    else
      answer = "t"
    end
  end
  reply[#reply + 1] = answer
end

if #ready > 0 then redis.call("LPUSH", pending, unpack(ready)) end
if #later > 0 then redis.call("ZADD", scheduled, unpack(later)) end
if #ready + #later > 0 and queue ~= "" then redis.call("SADD", queues, queue) end
return reply
