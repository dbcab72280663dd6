-- What follows a place in a list, counted from its tail, or comes before it. The place is the one right before the entry
-- `id`, which was `near` entries from the tail when it was last seen; with no `id` it is the tail or, backwards, the
-- head. Workers take from the tail: when the entry has left, so has all before it, and the place is the tail. Writes
-- nothing.
-- Reply: what is wrong with the key, or { how far from the tail the first id is, whether there is anything on the other
-- side of the place, ids }, one more than `limit`, so that one sees whether there are more.
local list = unpack(KEYS)
local deadline_ms, id, near, limit, backwards = unpack(ARGV)
--! include fence
--! include types

local problem = misfit(list, "list")
if problem then return problem end
local length = redis.call("LLEN", list)
near = tonumber(near)

-- Redis skips whole pieces of a list on its way to an index, but looks at each entry for LPOS: where nothing moved much,
-- the first is enough. An entry comes closer to the tail, save for the few that are put back behind it.
local function distance()
  local nearest = math.max(0, near - 200)
  local window = redis.call("LRANGE", list, -near - 201, -nearest - 1)
  local found
  for n = #window, 1, -1 do
    local at = nearest + #window - n
    -- An id may be there twice: then it is the one that is least far from where it was.
    if window[n] == id and (not found or math.abs(at - near) < math.abs(found - near)) then found = at end
  end
  if found then return found end
  local index = redis.call("LPOS", list, id, "RANK", -1, "MAXLEN", near + 10000)
  return index and length - 1 - index or 0
end

local place = backwards == "1" and length or 0
if id ~= "" then place = distance() end
local first, last = place, place + limit
if backwards == "1" then first, last = math.max(0, place - limit - 1), place - 1 end
local ids = {}
if last >= first then
  local window = redis.call("LRANGE", list, -last - 1, -first - 1)
  for n = #window, 1, -1 do ids[#ids + 1] = window[n] end
end
local rest = place
if backwards == "1" then rest = length - place end
return { first, rest > 0 and 1 or 0, ids }
