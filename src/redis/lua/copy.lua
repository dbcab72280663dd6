-- What a dead letter knows of its copies, in three steps (`act`): `begin` notes the one that is about to be made, `done`
-- that it was, `refused` that it was not, and forgets it. An act that comes again finds its own note.
-- Reply: "begun", "noted", "notFound", "wrongState", or { "known", the note of that request }, or { "problem", what is
-- wrong with a key }.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, id, act, note, most, actor, reason, request = unpack(ARGV)
--! include fence
--! include types
--! include audit

local task = asynq .. "t:" .. id
local found = redis.pcall("HMGET", task, "state", "hf_copies")
local state, stored = unpack(found, 1, 2)
if not state then return "notFound" end
local problem = misfit(holdfast .. "audit", "stream")
if problem then return { "problem", problem } end

-- Anyone may have written there.
local readable, copies = pcall(cjson.decode, stored or "[]")
if not readable or type(copies) ~= "table" then copies = {} end
local kept, mine = {}, nil
for _, copy in ipairs(copies) do
  if type(copy) == "table" then
    kept[#kept + 1] = copy
    if copy.request == request then mine = #kept end
  end
end

if act == "begin" then
  if mine then return { "known", cjson.encode(kept[mine]) } end
  if state ~= "archived" then return "wrongState" end
  while #kept >= tonumber(most) do table.remove(kept, 1) end
  kept[#kept + 1] = cjson.decode(note)
elseif not mine then
  return "notFound"
elseif act == "done" then
  kept[mine].done = true
else
  table.remove(kept, mine)
end

-- Taken out first, because a server whose memory is full refuses HSET as a script's first write.
redis.call("HDEL", task, "hf_copies")
if #kept > 0 then redis.call("HSET", task, "hf_copies", cjson.encode(kept)) end
if act == "done" then return "noted" end
local verb = act == "begin" and "copy" or "copyRefused"
record(holdfast, now_ms, actor, reason, request, verb, cjson.encode({ id }), 1)
return act == "begin" and "begun" or "noted"
