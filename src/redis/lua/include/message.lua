-- What scripts have to know of a stored message: protobuf fields 5 (the most retries), 6 (failures counted) and 10 (the
-- unique lock); nil when the bytes are no message. Of a repeated field the last one counts.
-- Source: https://protobuf.dev/programming-guides/encoding
local function read_varint(bytes, at)
  local value, scale = 0, 1
  for n = at, at + 9 do
    local byte = bytes:byte(n)
    if not byte then return end
    value = value + byte % 128 * scale
    if byte < 128 then return value, n + 1 end
    scale = scale * 128
  end
end

local function read_message(bytes)
  local found, at = {}, 1
  while at <= #bytes do
    local tag, value
    tag, at = read_varint(bytes, at)
    if not tag then return end
    local wire, number = tag % 8, math.floor(tag / 8)
    if wire == 0 then
      value, at = read_varint(bytes, at)
    elseif wire == 1 or wire == 5 then
      at = at + (wire == 1 and 8 or 4)
    elseif wire == 2 then
      local length
      length, at = read_varint(bytes, at)
      if not length then return end
      if number == 10 then value = bytes:sub(at, at + length - 1) end
      at = at + length
    else
      return
    end
    if not at or at > #bytes + 1 then return end
    found[number] = value
  end
  return { most = found[5] or 0, failed = found[6] or 0, lock = found[10] or "" }
end

-- The message with another number of most retries, in a field appended.
local function with_retries(bytes, most)
  local field = { bytes, string.char(40) }
  repeat
    local low = most % 128
    most = (most - low) / 128
    field[#field + 1] = string.char(most > 0 and low + 128 or low)
  until most == 0
  return table.concat(field)
end
