-- Put tasks of one queue where they belong: pending, or scheduled.
-- Reply: an answer a row: "+" and the task's state, "d" and the id that holds the unique lock,
-- "t" when the id is taken, "!" and what is wrong with a key that is in the way.
local asynq, holdfast, queues = unpack(KEYS)
local deadline_ms, queue, now_ns, bucket, buckets = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types

local pending, scheduled = asynq .. "pending", asynq .. "scheduled"
local reply = {}
local ready, later = {}, {}

-- Finished and deleted, but lately: the sets of done ids are by the time an id was made, or else it was finished.
local function lately_done(id, made)
  if made ~= "" then return redis.pcall("SISMEMBER", holdfast .. "done:" .. made, id) == 1 end
  for back = 0, buckets do
    if redis.pcall("SISMEMBER", holdfast .. "done:" .. bucket - back, id) == 1 then return true end
  end
  return false
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
  elseif again == "1" and redis.call("EXISTS", task) == 1 then
    local state = redis.pcall("HGET", task, "state")
    answer = type(state) == "string" and "+" .. state or "t"
  elseif again == "1" and lately_done(id, made) then
    answer = "+completed"
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
if #ready + #later > 0 then redis.call("SADD", queues, queue) end
return reply
