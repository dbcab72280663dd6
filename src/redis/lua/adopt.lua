-- Dead letters that were kept elsewhere come (back) to a queue, as they were. A row is id, when it died (s), message, its
-- unique lock, which is not taken, and what else is known of it: name and value, one after the other, packed.
-- Reply: a letter a row: a(dopted), e (there is a task of that id, or the trash holds one); or { what is wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, keep, before_s, actor, reason, request = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include archive
--! include audit
--! include groups

local archived = asynq .. "archived"
local problem = misfit(archived, "zset") or misfit(holdfast .. "archived", "zset") or misfit(holdfast .. "audit", "stream")
if problem then return { problem } end

local letters, chosen, adopted, seen = {}, {}, {}, {}
for i = 1, #ROWS, 5 do
  local id, died_s, message, lock, known = unpack(ROWS, i, i + 4)
  local is_there = seen[id] or redis.call("EXISTS", asynq .. "t:" .. id, holdfast .. "trash:" .. id) > 0
  seen[id] = true
  letters[#letters + 1] = is_there and "e" or "a"
  if not is_there then chosen[#chosen + 1], adopted[#adopted + 1] = i, id end
end
if #chosen == 0 then return table.concat(letters) end

-- One after the other, each with its place: what stops this leaves no task that is nowhere. A call of Lua takes some 8,000
-- arguments.
for _, i in ipairs(chosen) do
  local id, died_s, message, lock, known = unpack(ROWS, i, i + 4)
  local fields = { "msg", message, "state", "archived" }
  if lock ~= "" then fields[5], fields[6] = "unique_key", lock end
  for _, word in ipairs(cmsgpack.unpack(known)) do fields[#fields + 1] = word end
  for from = 1, #fields, 2000 do
    redis.call("HSET", asynq .. "t:" .. id, unpack(fields, from, math.min(from + 1999, #fields)))
  end
  redis.call("ZADD", archived, died_s, id)
end
move_aside(asynq, holdfast, keep, before_s, #chosen + 50)
await_index(holdfast, adopted)
record(holdfast, now_ms, actor, reason, request, "import", cjson.encode(adopted), #adopted)
return table.concat(letters)
