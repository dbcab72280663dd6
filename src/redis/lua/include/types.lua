-- What is wrong with a key, in words that name it; nil when it can take a `kind` (it may be missing).
local function misfit(key, kind)
  local found = redis.call("TYPE", key).ok
  if found ~= "none" and found ~= kind then
    return key .. " is a " .. found .. ", not a " .. kind
  end
  -- Streams are logs of acts. Who has no right to them is refused here, before the act that could not be recorded.
  if kind == "stream" then redis.call("XREVRANGE", key, "+", "-", "COUNT", 1) end
end
