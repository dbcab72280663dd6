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

-- The keys that `tally` writes, checked.
local function untallied(asynq, day, failed)
  return uncountable(asynq .. "processed")
    or uncountable(asynq .. "processed:" .. day)
    or (failed > 0 and (uncountable(asynq .. "failed") or uncountable(asynq .. "failed:" .. day)) or nil)
end

-- Counts attempts, `failed` of them failures: in all, and on this (UTC) day.
local function tally(asynq, day, keep_until_s, processed, failed)
  if processed == 0 then return end
  local function add_today(name, count)
    local key = asynq .. name .. ":" .. day
    if add(key, count) == count then redis.call("EXPIREAT", key, keep_until_s) end
  end
  add_today("processed", processed)
  local _, again = add(asynq .. "processed", processed)
  if failed == 0 then return end
  add_today("failed", failed)
  if again then
    redis.call("SET", asynq .. "failed", failed)
  else
    add(asynq .. "failed", failed)
  end
end
