-- Links ------------------------------------------------------------------------------------------------------
-- Frames that a link carries as other bytes: `declare.transforms` in Lua. Each gives the bytes inside; or nil, what was expected, what there is.

local UNDO = {}

local function stripped(raw, byte)  -- without such bytes before and after it
  local first, last = raw:find("[^" .. byte .. "]") or #raw + 1, #raw
  while last >= first and raw:sub(last, last) == byte do last = last - 1 end
  return raw:sub(first, last)
end

function UNDO.hdlc(raw, of)  -- RFC 1662 section 4
  local inside = of.flags and stripped(raw, "~") or raw
  local flag = inside:find("~", 1, true)
  if flag then return nil, "one frame", "a flag (7E) at byte " .. flag - 1 .. " of it" end
  if of.accm > 0 then
    inside = inside:gsub("[\0-\31]", function(c) return floor(of.accm / 2 ^ c:byte()) % 2 == 1 and "" or c end)
  end
  if inside:find("}}", 1, true) or inside:sub(-1) == "}" then return nil, "a byte after each escape (7D)", "none" end
  return (inside:gsub("}(.)", function(c) return string.char(bit.bxor(c:byte(), 32)) end))
end

function UNDO.slip(raw, of)  -- RFC 1055
  local inside = of.ends and stripped(raw, "\192") or raw
  local stop = inside:find("\192", 1, true)
  if stop then return nil, "one frame", "an end (C0) at byte " .. stop - 1 .. " of it" end
  for c in inside:gmatch("\219([^\219]?)") do
    if c ~= "\220" and c ~= "\221" then return nil, "DC or DD after each escape (DB)", c == "" and "none" or string.format("%02X", c:byte()) end
  end
  return (inside:gsub("\219(.)", {["\220"] = "\192", ["\221"] = "\219"}))
end

function UNDO.cobs(raw, of)  -- Cheshire and Baker, 1997
  if of.ends and raw:byte(-1) ~= 0 then return nil, "a zero at the end", #raw > 0 and string.format("%02x", raw:byte(-1)) or "nothing" end
  local inside = of.ends and raw:sub(1, -2) or raw
  local zero = inside:find("\0", 1, true)
  if zero then return nil, "no zero but the last", "one at byte " .. zero - 1 end
  if inside == "" then return nil, "a frame", "nothing" end
  local parts, at = {}, 1
  while at <= #inside do
    local code = inside:byte(at)
    if at + code - 1 > #inside then return nil, code - 1 .. " bytes after the code " .. code, #inside - at .. " bytes" end
    parts[#parts + 1] = inside:sub(at + 1, at + code - 1)
    at = at + code
    if code < 255 and at <= #inside then parts[#parts + 1] = "\0" end
  end
  return table.concat(parts)
end

function UNDO.xor(raw, of)
  local at = -1
  return (raw:gsub(".", function(c)
    at = at + 1
    return string.char(bit.bxor(c:byte(), of.key:byte(at % #of.key + 1)))
  end))
end

function UNDO.whitened(raw, of)  -- the register gives its lowest bit, and takes the sum of its taps
  local state = of.state
  return (raw:gsub(".", function(c)
    local noise = 0
    for i = 0, 7 do
      noise = noise + state % 2 * 2 ^ i
      local sum = bit.band(state, of.taps)
      for k = 4, 0, -1 do sum = bit.bxor(sum, bit.rshift(sum, 2 ^ k)) end
      state = floor(state / 2) + bit.band(sum, 1) * 2 ^ (of.width - 1)
    end
    return string.char(bit.bxor(c:byte(), noise))
  end))
end

-- What a link carries as the bytes of a frame, as a source of bytes of its own; or nil, and what is wrong, if that is known.
function Reader.off_link(h, tvb)
  local raw = tvb:raw(0, tvb:len())
  for _, one in ipairs(h.through) do
    if not UNDO[one.name] then return nil end
    local expected, got
    raw, expected, got = UNDO[one.name](raw, one)
    if not raw then return nil, {where = h.name, at = 0, expected = expected, got = got} end
  end
  return #raw > 0 and ByteArray.new(raw, true):tvb(h.name) or tvb(0, 0):tvb()
end
