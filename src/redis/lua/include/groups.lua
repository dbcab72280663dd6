-- Failure groups follow the dead letters, a moment later: what is new waits in a list (dead-fresh.lua), which is cut where
-- nobody takes from it; what is not in it is found by a walk.
local function await_index(holdfast, ids)
  local waiting = redis.pcall("LPUSH", holdfast .. "unindexed", unpack(ids))
  if type(waiting) == "number" and waiting > 100000 then redis.pcall("LTRIM", holdfast .. "unindexed", 0, 99999) end
end

-- Who leaves the archive leaves its group; to be called while the tasks' hashes are there. What is in the way here is in
-- the way of groups alone.
local function leave_groups(asynq, holdfast, ids)
  local members, left = {}, 0
  for _, id in ipairs(ids) do
    local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
    if type(fp) == "string" then
      redis.call("HDEL", asynq .. "t:" .. id, "hf_fp")
      members[fp] = members[fp] or {}
      table.insert(members[fp], id)
    end
  end
  for fp, some in pairs(members) do
    local gone = redis.pcall("ZREM", holdfast .. "fp:" .. fp, unpack(some))
    if type(gone) == "number" then left = left + gone end
  end
  if left > 0 then redis.pcall("HINCRBY", holdfast .. "index", "count", -left) end
end
