-- Discarded tasks of one queue out of its trash, for good.
-- Reply: a letter an id: p(urged), n(ot found); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, ids, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

local trash, trashed = holdfast .. "trash", holdfast .. "trash:"
local problem = misfit(trash, "zset") or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local purged, keys, letters, seen = {}, {}, {}, {}
for n, id in ipairs(cjson.decode(ids)) do
  local is_there = not seen[id] and (redis.call("ZSCORE", trash, id) or redis.call("EXISTS", trashed .. id) == 1)
  seen[id] = true
  letters[n] = is_there and "p" or "n"
  if is_there then purged[#purged + 1], keys[#keys + 1] = id, trashed .. id end
end
if #purged == 0 then return table.concat(letters) end

redis.call("ZREM", trash, unpack(purged))
redis.call("UNLINK", unpack(keys))
record(holdfast, now_ms, actor, reason, request, "purge", cjson.encode(purged), #purged)
return table.concat(letters)
