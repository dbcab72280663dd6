-- The time in an id of ours (a UUID version 7), Unix ms; nil for any other.
local function hexes(count)
  return ("[0-9a-f]"):rep(count)
end
local id_of_ours = "^" .. hexes(8) .. "%-" .. hexes(4) .. "%-7" .. hexes(3) .. "%-[89ab]" .. hexes(3) .. "%-" .. hexes(12) .. "$"
local function made_ms(id)
  return id:match(id_of_ours) and tonumber(id:sub(1, 8) .. id:sub(10, 13), 16)
end

-- An enqueue of tasks that are deleted may still be repeated: as settling does, where a task is deleted at once.
-- `spooled` says of those that came through a spool for how long.
local function remember(holdfast, ids, spooled)
  local done = {}
  for _, id in ipairs(ids) do
    local made = made_ms(id)
    if made and (spooled[id] or math.abs(now_ms - made) <= tonumber(horizon_ms)) then
      local bucket = string.format("%s%d", spooled[id] and "spooled:" or "done:", math.floor(made / bucket_ms))
      done[bucket] = done[bucket] or { keep_s = done_s }
      if spooled[id] then done[bucket].keep_s = math.max(done[bucket].keep_s, spooled_for(spooled[id])) end
      table.insert(done[bucket], id)
    end
  end
  for bucket, young in pairs(done) do
    local key = holdfast .. bucket
    if not misfit(key, "set") then
      redis.call("SADD", key, unpack(young))
      keep_for(key, young.keep_s)
    end
  end
end
