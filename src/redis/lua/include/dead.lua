-- What a redrive keeps in a queue: what became of each task, those left to move, those that are awaited, and counts.
local function redrive_keys(holdfast, redrive)
  return holdfast .. "redrive:" .. redrive,
    holdfast .. "redrive-left:" .. redrive,
    holdfast .. "redrive-awaited:" .. redrive,
    holdfast .. "redrive-counts:" .. redrive
end

local function read_dead(asynq, id)
  local found = redis.pcall("HMGET", asynq .. "t:" .. id, "msg", "state", "unique_key", "hf_crashes", "hf_once", "hf_redrive", "hf_redrives", "hf_spool")
  local message, state, lock, crashes, once, redrive, redrives, spooled = unpack(found, 1, 8)
  return message
    and { message = message, state = state, lock = lock, crashes = crashes, once = once, redrive = redrive, redrives = redrives, spooled = spooled }
end

-- Whether another redrive, one that has not ended, has the task.
local function is_redriven(holdfast, redrive, id, task)
  if not task.redrive or task.redrive == redrive then return false end
  local _, left, awaited, counts = redrive_keys(holdfast, task.redrive)
  return redis.pcall("HEXISTS", counts, "ended") ~= 1 and (is_member(left, id) or is_member(awaited, id))
end

-- Why a task cannot be moved, as a letter; nil when it can.
local function wrong_with(asynq, holdfast, redrive, id, task, most)
  if not task or not task.state then return "n" end
  if task.state ~= "archived" or not is_in_place(asynq, holdfast, id, "archived") then return "w" end
  if is_redriven(holdfast, redrive, id, task) then return "r" end
  if (tonumber(task.redrives) or 0) >= tonumber(most) then return "b" end
  local holder = task.lock and task.lock ~= "" and redis.pcall("GET", task.lock)
  if type(holder) == "string" and holder ~= id then return "u" .. holder end
end
