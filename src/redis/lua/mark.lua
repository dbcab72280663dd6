-- Among the data there is a mark that tells them from others, and the time until which they are known to reach: whoever
-- looks writes it. Data that came back older than the looker knows have a gap, which stays noted for those who look later:
-- "mark until from:noticed …", the last four. What cannot be written now is left as it is.
-- `known_ms`: until when the looker has seen these data reach, 0 when it has not.
-- Reply: the mark, the time that was there, the time that is there, the gaps; an empty mark where there is none.
local data = unpack(KEYS)
local deadline_ms, fresh, now_ms, known_ms = unpack(ARGV)
--! include fence

local stored = redis.call("GET", data) or ""
local mark, until_ms, gaps = string.match(stored, "^(%S+) ?(%d*)(.*)$")
local found_ms = tonumber(until_ms) or 0
if mark and found_ms < tonumber(known_ms) then
  local kept = {}
  for gap in string.gmatch(gaps, "%d+:%d+") do kept[#kept + 1] = gap end
  kept[#kept + 1] = string.format("%.0f:%.0f", found_ms, now_ms)
  gaps = " " .. table.concat(kept, " ", math.max(1, #kept - 3))
end
local reaches_ms = math.max(found_ms, tonumber(now_ms))
local text = string.format("%s %.0f%s", mark or fresh, reaches_ms, gaps or "")
if text ~= stored then
  local written = redis.pcall("SET", data, text)
  if type(written) == "table" and written.err then reaches_ms = found_ms end
  if reaches_ms == found_ms and not mark then return { "", 0, 0, "" } end
end
return { mark or fresh, found_ms, reaches_ms, gaps or "" }
