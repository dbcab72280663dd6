-- Ask for active tasks of one queue to be aborted: a mark in the task's hash where a worker of ours holds it, which each
-- renewal of its lease reads, then the id on a channel that all workers hear.
-- Reply: a letter for each of `ids` (JSON), r(equested), a (not active), n(ot found); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, ids, how, channel, now_ms, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

local lease, leases = asynq .. "lease", holdfast .. "leases"
local problem = misfit(lease, "zset") or misfit(leases, "hash") or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local receipts, active, ours = {}, {}, {}
for n, id in ipairs(cjson.decode(ids)) do
  local task = asynq .. "t:" .. id
  local message, state = unpack(redis.pcall("HMGET", task, "msg", "state"), 1, 2)
  if not message then
    receipts[n] = "n"
  elseif state ~= "active" then
    receipts[n] = "a"
  else
    receipts[n] = "r"
    active[#active + 1] = id
    -- A Go worker never reads the mark, nor takes it away: it would hit a later attempt.
    local score = redis.call("ZSCORE", lease, id)
    local held = score and redis.call("HGET", leases, id)
    if held and held:sub(-#score - 1) == ":" .. score then ours[#ours + 1] = task end
  end
end
if #active > 0 then
  for _, task in ipairs(ours) do redis.call("HSET", task, "hf_cancel", how) end
  record(holdfast, now_ms, actor, reason, request, "cancel " .. how, cjson.encode(active), #active)
  -- Who may not publish is heard at the next renewal.
  for _, id in ipairs(active) do redis.pcall("PUBLISH", channel, id) end
end
return table.concat(receipts)
