-- Renew leases that are still held: only the present token may, and only while the score is the one it was written with.
-- KEYS: the two prefixes of each queue; a row says by number which is its own.
-- Reply: a letter a row, r(enewed) or l(ost), t or a when it is renewed and is to be aborted, to be tried again or to be
-- archived; w(rong) when a key of its queue is in the way, "" or which one.
local deadline_ms, until_s = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include holder

local queues = {}
for k = 1, #KEYS, 2 do
  local asynq, holdfast = unpack(KEYS, k, k + 1)
  queues[#queues + 1] = { tasks = asynq .. "t:", lease = asynq .. "lease", leases = holdfast .. "leases", ids = {}, held = {}, rows = {} }
end
for i = 1, #ROWS, 3 do
  local number, id, held = unpack(ROWS, i, i + 2)
  local queue = queues[tonumber(number)]
  queue.ids[#queue.ids + 1] = id
  queue.held[#queue.held + 1] = held
  queue.rows[#queue.rows + 1] = (i - 1) / 3 + 1
end

local receipts = {}
local letter_of = { retry = "t", archive = "a" }
local wrong = ""

local function renew(queue)
  local problem = misfit(queue.lease, "zset") or misfit(queue.leases, "hash")
  if problem then
    wrong = problem
    for _, at in ipairs(queue.rows) do receipts[at] = "w" end
    return
  end
  local tokens = redis.call("HMGET", queue.leases, unpack(queue.ids))
  local scores = redis.call("ZMSCORE", queue.lease, unpack(queue.ids))
  local ids, entries, holders = {}, {}, {}
  for n, id in ipairs(queue.ids) do
    local at = queue.rows[n]
    if not tokens[n] or not scores[n] or tokens[n] ~= holder(queue.held[n], scores[n]) then
      receipts[at] = "l"
    else
      local how = redis.pcall("HGET", queue.tasks .. id, "hf_cancel")
      receipts[at] = letter_of[how] or "r"
      if tonumber(scores[n]) < tonumber(until_s) then
        ids[#ids + 1] = id
        entries[#entries + 1], entries[#entries + 2] = until_s, id
        holders[#holders + 1], holders[#holders + 2] = id, holder(queue.held[n], until_s)
      end
    end
  end
  if #ids == 0 then return end
  -- Taken out first, because a server whose memory is full refuses ZADD as a script's first write, also to renew.
  redis.call("ZREM", queue.lease, unpack(ids))
  write_leases(queue.lease, entries)
  redis.call("HSET", queue.leases, unpack(holders))
end

for _, queue in ipairs(queues) do
  if #queue.ids > 0 then renew(queue) end
end
return { table.concat(receipts), wrong }
