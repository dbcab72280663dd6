-- Small JSON documents, each changed only where it still has the version that its writer read ("0": there is none).
-- Stored as "version text". An empty text deletes.
-- Reply: an answer a row: the new version, "c" it has another one, "f" there are `most` already.
local documents = unpack(KEYS)
local deadline_ms, now_ms, most = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types

local problem = misfit(documents, "hash")
if problem then return redis.error_reply("WRONGTYPE " .. problem) end

-- What shrinks comes first: after that, a server whose memory is full lets the rest pass, too.
redis.call("HDEL", documents, "")
local room = tonumber(most) - redis.call("HLEN", documents)
local reply = {}
for i = 1, #ROWS, 3 do
  local id, if_version, text = unpack(ROWS, i, i + 2)
  local stored = redis.call("HGET", documents, id)
  local version = stored and (stored:match("^(%d+) ") or "1") or "0"
  if version ~= if_version then
    reply[#reply + 1] = "c"
  elseif not stored and text ~= "" and room <= 0 then
    reply[#reply + 1] = "f"
  else
    local next_version = string.format("%.0f", math.max(tonumber(now_ms), tonumber(version) + 1))
    if text ~= "" then
      redis.call("HSET", documents, id, next_version .. " " .. text)
      if not stored then room = room - 1 end
    elseif stored then
      redis.call("HDEL", documents, id)
      room = room + 1
    end
    reply[#reply + 1] = next_version
  end
end
return reply
