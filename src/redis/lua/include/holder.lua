-- What the hash of leases holds for a task: the token, and the score with which the lease was written. More than 64
-- bytes, so that Redis keeps the hash as a table: in a listpack, as small values are kept, every look walks the leases.
local function holder(token, score)
  return string.format("%-64s:%s", token, score)
end
