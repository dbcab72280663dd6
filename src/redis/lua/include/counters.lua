local largest = "9223372036854775807"
local smallest = "-9223372036854775808"

-- What is wrong with a counter, in words that name it; nil when it can be added to.
local function uncountable(key)
  local problem = misfit(key, "string")
  if problem then return problem end
  local value = redis.call("GET", key)
  if not value or value == "0" then return end
  local digits = value:match("^%-?([1-9]%d*)$")
  if not digits or #digits > 19 or (#digits == 19 and digits > largest and value ~= smallest) then
    return key .. " does not hold a count"
  end
end

-- Adds as asynq does: after the largest number comes 1. Answers the sum, and whether it started again.
local function add(key, count)
  local value = redis.call("GET", key)
  if not value or #value < 19 then return redis.call("INCRBY", key, count), false end
  local again = false
  for _ = 1, count do
    if redis.call("GET", key) == largest then
      redis.call("SET", key, 1)
      again = true
    else
      redis.call("INCR", key)
    end
  end
  return 0, again
end

-- The counters that `tally` may add to, and what is wrong with another, in words that name it. They are statistics: what
-- stands in the way of one keeps it from counting, and no task from its place.
local function countable(asynq, day, failed)
  local counters, problem = {}, nil
  for _, name in ipairs(failed > 0 and { "processed", "failed" } or { "processed" }) do
    for _, key in ipairs({ asynq .. name, asynq .. name .. ":" .. day }) do
      local wrong = uncountable(key)
      counters[key] = not wrong
      problem = problem or wrong
    end
  end
  return counters, problem
end

-- Counts attempts, `failed` of them failures: in all, and on this (UTC) day, where that is `countable`.
local function tally(asynq, day, keep_until_s, processed, failed, counters)
  if processed == 0 then return end
  local function add_today(name, count)
    local key = asynq .. name .. ":" .. day
    if counters[key] and add(key, count) == count then redis.call("EXPIREAT", key, keep_until_s) end
  end
  add_today("processed", processed)
  local again = false
  if counters[asynq .. "processed"] then
    local _
    _, again = add(asynq .. "processed", processed)
  end
  if failed == 0 then return end
  add_today("failed", failed)
  if not counters[asynq .. "failed"] then return end
  if again then
    redis.call("SET", asynq .. "failed", failed)
  else
    add(asynq .. "failed", failed)
  end
end
