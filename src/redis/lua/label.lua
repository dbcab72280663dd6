-- Mark dead letters of one queue in `field`: `mark` says who and why; "" takes that back.
-- Reply: a letter an id: m(arked, or taken back), n(ot found), w(rong state); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, field, mark, verb, ids, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

local problem = misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local chosen, letters, seen = {}, {}, {}
for n, id in ipairs(cjson.decode(ids)) do
  local state = redis.pcall("HMGET", asynq .. "t:" .. id, "state")[1]
  letters[n] = not state and "n" or state == "archived" and "m" or "w"
  if letters[n] == "m" and not seen[id] then chosen[#chosen + 1] = id end
  seen[id] = true
end
if #chosen == 0 then return table.concat(letters) end

for _, id in ipairs(chosen) do
  -- Taken out first, because a server whose memory is full refuses HSET as a script's first write.
  redis.call("HDEL", asynq .. "t:" .. id, field)
  if mark ~= "" then redis.call("HSET", asynq .. "t:" .. id, field, mark) end
end
record(holdfast, now_ms, actor, reason, request, verb, cjson.encode(chosen), #chosen)
return table.concat(letters)
