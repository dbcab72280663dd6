-- What the hash of leases holds for a task: the token, and the score with which the lease was written. More than 64
-- bytes, so that Redis keeps the hash as a table: in a listpack, as small values are kept, every look walks the leases.
local function holder(token, score)
  return string.format("%-64s:%s", token, score)
end

-- Writes leases: `entries` is { score, id, … }. Redis keeps a small sorted set as a listpack, too, and walks it for each
-- entry: ten times the work at a hundred leases. One long member makes a table of it, which it stays when that is gone.
local long_member = string.rep("-", 65)
local function write_leases(lease, entries)
  if redis.call("EXISTS", lease) == 0 then
    redis.call("ZADD", lease, entries[1], long_member)
    redis.call("ZADD", lease, unpack(entries))
    redis.call("ZREM", lease, long_member)
  else
    redis.call("ZADD", lease, unpack(entries))
  end
end
