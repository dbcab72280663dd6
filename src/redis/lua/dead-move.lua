-- Move dead letters of one queue: to pending, to scheduled (`due_s`), or out of the queue ("away", where another queue has
-- taken them). A row's `expected` is the message as it was read, and `message` what it becomes. For a redrive only what is
-- left to move is moved, and is marked and awaited in the same step: so each is moved once, however often this is called.
-- Reply: what is wrong with a key, for which nothing was written, or an answer a row: "+" moved, "d" not left to move (any
-- more), "c" its message has changed, and the letters of dead-choose.
local asynq, holdfast = unpack(KEYS)
local deadline_ms, now_ms, now_ns, redrive, to, due_s, crashes_left, look_ms, most, horizon_ms, bucket_ms, actor, reason, request, verb = unpack(ARGV)
--! include fence
local ROWS = cmsgpack.unpack(ARGV[#ARGV])
--! include types
--! include place
--! include dead
--! include keep
--! include done
--! include audit
--! include groups

local pending, scheduled = asynq .. "pending", asynq .. "scheduled"
local archived, aside = asynq .. "archived", holdfast .. "archived"
local marks, left, awaited, counts = redrive_keys(holdfast, redrive)
local problem = misfit(archived, "zset")
  or misfit(aside, "zset")
  or misfit(pending, "list")
  or misfit(scheduled, "zset")
  or misfit(holdfast .. "audit", "stream")
if redrive ~= "" then problem = problem or misfit(marks, "hash") or misfit(left, "zset") or misfit(awaited, "zset") or misfit(counts, "hash") end
if problem then return problem end

local reply, moving, seen = {}, {}, {}
for i = 1, #ROWS, 4 do
  local id, expected, message, mark = unpack(ROWS, i, i + 3)
  local answer
  if seen[id] or (redrive ~= "" and not is_member(left, id)) then
    answer = "d"
  else
    local task = read_dead(asynq, id)
    answer = wrong_with(asynq, holdfast, redrive, id, task, most)
    if not answer and task.message ~= expected then answer = "c" end
    if not answer then
      answer = "+"
      seen[id] = true
      moving[#moving + 1] = { id = id, task = task, message = message, mark = mark }
    end
  end
  reply[#reply + 1] = answer
end
if #moving == 0 then return reply end

local ids, later, looks, written, unlink, spooled = {}, {}, {}, {}, {}, {}
for n, one in ipairs(moving) do
  ids[n] = one.id
  later[2 * n - 1], later[2 * n] = due_s, one.id
  looks[2 * n - 1], looks[2 * n] = look_ms, one.id
  written[2 * n - 1], written[2 * n] = one.id, "moved " .. one.mark
end
-- What shrinks comes first, which a server whose memory is full lets pass, and with it the rest.
redis.call("ZREM", archived, unpack(ids))
redis.call("ZREM", aside, unpack(ids))
if redrive ~= "" then redis.call("ZREM", left, unpack(ids)) end
leave_groups(asynq, holdfast, ids)
for _, one in ipairs(moving) do
  local key = asynq .. "t:" .. one.id
  if to == "away" then
    spooled[one.id] = one.task.spooled
    unlink[#unlink + 1] = key
    if one.task.lock and redis.pcall("GET", one.task.lock) == one.id then unlink[#unlink + 1] = one.task.lock end
  else
    redis.call("HSET", key, "msg", one.message, "state", to, "hf_redrives", (tonumber(one.task.redrives) or 0) + 1)
    if to == "pending" then redis.call("HSET", key, "pending_since", now_ns) end
    if redrive ~= "" then redis.call("HSET", key, "hf_redrive", redrive) end
    -- As often as its attempts a task of which workers died may take another one down.
    if one.task.crashes and (tonumber(one.task.crashes) or 0) > tonumber(crashes_left) then
      if tonumber(crashes_left) > 0 then
        redis.call("HSET", key, "hf_crashes", crashes_left)
      else
        redis.call("HDEL", key, "hf_crashes")
      end
    end
  end
end
if to == "away" then
  redis.call("UNLINK", unpack(unlink))
  remember(holdfast, ids, spooled)
elseif to == "pending" then
  redis.call("LPUSH", pending, unpack(ids))
else
  redis.call("ZADD", scheduled, unpack(later))
end
if redrive ~= "" then
  redis.call("HSET", marks, unpack(written))
  redis.call("ZADD", awaited, unpack(looks))
end
record(holdfast, now_ms, actor, reason, request, verb, cjson.encode(ids), #ids)
return reply
