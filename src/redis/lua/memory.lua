-- About how many bytes each queue takes: its keys, and its tasks by the average of a few of each state. Writes nothing;
-- what cannot be asked counts as nothing.
-- KEYS: the two prefixes of each queue.
local deadline_ms, sample = unpack(ARGV)
--! include fence

local function bytes_of(key)
  local bytes = redis.pcall("MEMORY", "USAGE", key)
  return type(bytes) == "number" and bytes or 0
end

-- The tasks behind some ids, of which there are `count`.
local function tasks_of(asynq, ids, count)
  if #ids == 0 then return 0 end
  local sum = 0
  for _, id in ipairs(ids) do sum = sum + bytes_of(asynq .. "t:" .. id) end
  return sum / #ids * count
end

local function count_of(...)
  local count = redis.pcall(...)
  return type(count) == "number" and count or 0
end

-- Half from each end.
local function list(asynq, key)
  local count = count_of("LLEN", key)
  local half = math.ceil(sample / 2)
  local ids = count <= 2 * half and redis.pcall("LRANGE", key, 0, -1) or redis.call("LRANGE", key, 0, half - 1)
  if count > 2 * half then
    for _, id in ipairs(redis.call("LRANGE", key, -half, -1)) do ids[#ids + 1] = id end
  end
  return bytes_of(key) + tasks_of(asynq, ids, count)
end

local function set(asynq, key)
  return bytes_of(key) + tasks_of(asynq, redis.pcall("ZRANDMEMBER", key, sample), count_of("ZCARD", key))
end

local function groups(asynq)
  local names = redis.pcall("SRANDMEMBER", asynq .. "groups", 5)
  local sum = 0
  for _, name in ipairs(names) do sum = sum + set(asynq, asynq .. "g:" .. name) end
  return bytes_of(asynq .. "groups") + (#names == 0 and 0 or sum / #names * count_of("SCARD", asynq .. "groups"))
end

local reply = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  local sum = list(asynq, asynq .. "pending") + list(asynq, asynq .. "active") + groups(asynq)
  for _, key in ipairs({ asynq .. "scheduled", asynq .. "retry", asynq .. "archived", holdfast .. "archived", asynq .. "completed" }) do
    sum = sum + set(asynq, key)
  end
  for _, key in ipairs({ asynq .. "lease", holdfast .. "leases", holdfast .. "audit", holdfast .. "broken" }) do
    sum = sum + bytes_of(key)
  end
  reply[#reply + 1] = math.floor(sum)
end
return reply
