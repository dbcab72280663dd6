-- Choose dead letters of one queue for a redrive, or only say which could be (`dry`): each is written among those that are
-- left to move, by the time it became a dead letter, and its hash names the redrive. Repeating it changes nothing.
-- Reply: what is wrong with a key, for which nothing was written, or an answer a row: "+" chosen, "n" no such task, "w" no
-- dead letter, "o" it may have run (at most once), "r" another redrive has it, "b" redriven too often, "u" and the id that
-- holds its unique lock.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, redrive, dry, may_once, most = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include place
--! include dead

local marks, left, _, counts = redrive_keys(holdfast, redrive)
local problem = misfit(marks, "hash") or misfit(left, "zset") or misfit(counts, "hash")
if problem then return problem end

local reply, chosen, entries = {}, {}, {}
for i = 1, #ROWS, 2 do
  local id, at_s = unpack(ROWS, i, i + 1)
  local task = read_dead(asynq, id)
  local answer = wrong_with(asynq, holdfast, redrive, id, task, most)
  if not answer and task.once == "1" and may_once ~= "1" then answer = "o" end
  -- What has been moved is not dead any more, and is among the chosen all the same.
  if dry ~= "1" and redis.call("HEXISTS", marks, id) == 1 then
    answer = "+"
  elseif not answer then
    answer = "+"
    chosen[#chosen + 1] = id
    entries[#entries + 1], entries[#entries + 2] = at_s, id
  end
  reply[#reply + 1] = answer
end
if dry == "1" or #chosen == 0 then return reply end

for _, id in ipairs(chosen) do redis.call("HSET", asynq .. "t:" .. id, "hf_redrive", redrive) end
redis.call("ZADD", left, "NX", unpack(entries))
-- There from the beginning, so that a look at an empty redrive finds it.
redis.call("HSETNX", counts, "gone", 0)
-- Who asks late, when it is over, leaves nothing for good.
if redis.call("HEXISTS", counts, "ended") == 1 then
  local keep_ms = redis.call("PTTL", counts)
  if keep_ms > 0 then redis.call("PEXPIRE", left, keep_ms) end
end
return reply
