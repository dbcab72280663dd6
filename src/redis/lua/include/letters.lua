-- A letter for each id of a JSON list, in order; `seen` has those of the ids before.
local function letters_for(ids, seen, letter_of)
  local letters = {}
  for n, id in ipairs(cjson.decode(ids)) do
    letters[n] = letter_of(id)
    seen[id] = letters[n]
  end
  return table.concat(letters)
end
