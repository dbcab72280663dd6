-- The failure groups of some dead letters, as far as they hold now: one that asynq ran and archived again has another score
-- than the member, and one that got the id of another that is gone has no group. Writes nothing.
-- Reply, a row: the fingerprint, or "".
local asynq, holdfast = unpack(KEYS)
local deadline_ms = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])

local reply = {}
for i = 1, #ROWS, 2 do
  local id, score = unpack(ROWS, i, i + 1)
  local fp = redis.pcall("HGET", asynq .. "t:" .. id, "hf_fp")
  local holds = type(fp) == "string" and redis.pcall("ZSCORE", holdfast .. "fp:" .. fp, id) == score
  reply[#reply + 1] = holds and fp or ""
end
return reply
