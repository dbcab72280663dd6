-- Earlier failures of a task are lines of `hf_history`, the newest last: at most 10, and 16 KiB. What `hf_failure` holds goes
-- there before it is written anew. Answers the new history; nil where it stays as it is, as when a task is given back for the
-- reason it was given back for before.
local function history_with_last(task, failure, given_back)
  local last, history = unpack(redis.pcall("HMGET", task, "hf_failure", "hf_history"), 1, 2)
  if not last or #last > 16384 or last:find("\n", 1, true) then return end
  local reason = '^{"reason":"[a-z_]+"'
  if given_back and last:match(reason) == failure:match(reason) then return end
  -- Longer than we write it, it is not ours.
  if not history or history == "" or #history > 16384 then return last end
  local lines = history .. "\n" .. last
  local count, at = 1, lines:find("\n", 1, true)
  while at do count, at = count + 1, lines:find("\n", at + 1, true) end
  while count > 10 or #lines > 16384 do
    lines, count = lines:sub(lines:find("\n", 1, true) + 1), count - 1
  end
  return lines
end
