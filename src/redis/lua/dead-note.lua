-- Note what became of tasks of a redrive, each once: "waiting" (to be looked at again at `look_ms`), "notMoved", or how it
-- ended. A row with a `fix` puts the task itself right, where it is in this queue, if it is still as `expected`: a completed
-- one that was only kept to be seen ends its retention at `until_s` ("expire"), a dead letter gets its own `message` back
-- ("restore").
-- Reply: what is wrong with a key, for which nothing was written, or the number of tasks noted as ended.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, redrive = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include place
--! include dead

local marks, left, awaited, counts = redrive_keys(holdfast, redrive)
local completed = asynq .. "completed"
local problem = misfit(marks, "hash") or misfit(left, "zset") or misfit(awaited, "zset") or misfit(counts, "hash") or misfit(completed, "zset")
if problem then return problem end

local function put_right(id, fix, until_s, expected, message)
  local key = asynq .. "t:" .. id
  local found = redis.pcall("HMGET", key, "state", "msg", "hf_redrive")
  local state, stored, by = found[1], found[2], found[3]
  -- In another queue than it was chosen in, its hash says nothing.
  if (by and by ~= redrive) or stored ~= expected then return end
  if fix == "expire" and state == "completed" then
    redis.call("ZADD", completed, "XX", until_s, id)
  elseif fix == "restore" and state == "archived" then
    redis.call("HDEL", key, "hf_redrive")
    redis.call("HSET", key, "msg", message)
  end
end

local ended = 0
for i = 1, #ROWS, 8 do
  local id, became, mark, look_ms, fix, until_s, expected, message = unpack(ROWS, i, i + 7)
  if became == "waiting" then
    redis.call("ZADD", awaited, "XX", look_ms, id)
  elseif became ~= "" then
    local was = became == "notMoved" and left or awaited
    if redis.call("ZREM", was, id) == 1 then
      redis.call("HSET", marks, id, became .. " " .. mark)
      redis.call("HINCRBY", counts, became, 1)
      ended = ended + 1
    end
  end
  if fix ~= "" then put_right(id, fix, until_s, expected, message) end
end
return ended
