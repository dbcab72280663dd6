-- Whether a task is where its state says it is: then its id anywhere else is a stray, and there it may be taken out. Costs
-- a look along pending for a task whose state is that; entries further away than 10,000 are not seen.
local sets_by_state = { scheduled = 1, retry = 1, archived = 1, completed = 1 }

local function is_member(key, id)
  return type(redis.pcall("ZSCORE", key, id)) == "string"
end

local function is_in_place(asynq, holdfast, id, state)
  if state == "active" then return is_member(asynq .. "lease", id) end
  if state == "pending" then
    return type(redis.pcall("LPOS", asynq .. "pending", id, "RANK", -1, "MAXLEN", 10000)) == "number"
  end
  if state == "aggregating" then
    local group = redis.pcall("HGET", asynq .. "t:" .. id, "group")
    -- One whose aggregation has begun is in a set of its own, and somebody else's.
    return type(group) == "string"
      and (is_member(asynq .. "g:" .. group, id) or redis.call("EXISTS", asynq .. "aggregation_sets") == 1)
  end
  return sets_by_state[state] ~= nil
    and (is_member(asynq .. state, id) or (state == "archived" and is_member(holdfast .. "archived", id)))
end
