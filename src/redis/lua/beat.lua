-- Enter a member in a set of those that live, by the time at which it expires, and take out those long gone.
-- Reply: how many live.
local set = unpack(KEYS)
local deadline_ms, member, until_s, now_s, gone_s = unpack(ARGV)
--! include fence

redis.call("ZREMRANGEBYSCORE", set, "-inf", gone_s)
redis.call("ZADD", set, until_s, member)
return redis.call("ZCOUNT", set, now_s, "+inf")
