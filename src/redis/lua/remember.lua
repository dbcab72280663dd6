-- What is known of the effects of tasks, of one queue: a field of the task for each, "b" and the token of the lease that
-- began it, or "d" and what came of it. Only who holds the task's lease may begin, or take that back: later, somebody else
-- may be about it. That it is done may be told later, too.
-- Reply: an answer a row: "b" begun, "d" and the result, "i" begun by another lease, "o" not begun, "l" the lease is lost.
local asynq, holdfast = unpack(KEYS)
local deadline_ms = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include holder

local lease, leases = asynq .. "lease", holdfast .. "leases"
local readable = not misfit(lease, "zset") and not misfit(leases, "hash")
local function holds(id, token, task)
  local score = readable and redis.call("TYPE", task).ok == "hash" and redis.call("ZSCORE", lease, id)
  return score and redis.call("HGET", leases, id) == holder(token, score)
end

-- Taken out first, because a server whose memory is full refuses HSET as a script's first write.
local function note(task, field, value)
  redis.call("HDEL", task, field)
  redis.call("HSET", task, field, value)
end

local reply = {}
for i = 1, #ROWS, 5 do
  local id, token, key, act, result = unpack(ROWS, i, i + 4)
  local task, field = asynq .. "t:" .. id, "hf_effect:" .. key
  local stored = not misfit(task, "hash") and redis.call("HGET", task, field)
  local mine = stored == "b" .. token

  local answer
  if stored and stored:sub(1, 1) == "d" then
    answer = stored
  elseif act == "done" and (stored or holds(id, token, task)) then
    note(task, field, "d" .. result)
    answer = "d" .. result
  elseif act == "undone" and mine and holds(id, token, task) then
    redis.call("HDEL", task, field)
    answer = "o"
  elseif act == "begin" and not holds(id, token, task) then
    answer = "l"
  elseif act == "begin" and not stored then
    note(task, field, "b" .. token)
    answer = "b"
  else
    answer = mine and "b" or stored and "i" or "o"
  end
  reply[#reply + 1] = answer
end
return reply
