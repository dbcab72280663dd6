-- Somebody works on the storage, and nothing is taken meanwhile.
local standstill = redis.pcall("GET", holdfast .. "standstill")
if type(standstill) == "string" then
  local until_ms, why = standstill:match("^(%d+)\t%d+\t[^\t]*\t(.*)$")
  if until_ms and tonumber(until_ms) * 1000000 > tonumber(now_ns) then
    return redis.error_reply("MAINTENANCE " .. until_ms .. " " .. why)
  end
end
