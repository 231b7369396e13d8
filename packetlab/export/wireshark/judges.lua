-- Values of their kind ---------------------------------------------------------------------------------------
-- Bytes that are no text in an encoding, no packed digits, or a number in more bytes than it needs: `Kind.wrong` in Lua. `judge` of a field has the form, and the words for a fault.

local JUDGES = {}

function JUDGES.bytes(raw, of) return not raw:find("[" .. of.bad .. "]") end  -- an encoding of one byte a letter

function JUDGES.utf8(raw)
  local at, size = 1, #raw
  while at <= size do
    local first = raw:byte(at)
    if first < 128 then at = at + 1
    else
      local more = first >= 194 and (first < 224 and 1 or first < 240 and 2 or first < 245 and 3)
      local second = raw:byte(at + 1) or 0
      if not more or at + more > size or (first == 224 and second < 160) or (first == 237 and second > 159) or (first == 240 and second < 144)
        or (first == 244 and second > 143) then return false end
      for i = at + 1, at + more do
        if raw:byte(i) < 128 or raw:byte(i) > 191 then return false end
      end
      at = at + more + 1
    end
  end
  return true
end

function JUDGES.utf16(raw, of)
  if #raw % 2 > 0 then return false end
  local high = false  -- whether the first half of a pair stands before
  for i = of.little and 2 or 1, #raw, 2 do
    local low = raw:byte(i) >= 220 and raw:byte(i) <= 223
    if low ~= high then return false end
    high = raw:byte(i) >= 216 and raw:byte(i) <= 219
  end
  return not high
end

function JUDGES.utf32(raw, of)
  if #raw % 4 > 0 then return false end
  for i = 1, #raw, 4 do
    local a, b, c, d = raw:byte(i, i + 3)
    if of.little then a, b, c, d = d, c, b, a end
    if a > 0 or b > 16 or (b == 0 and c >= 216 and c <= 223) then return false end
  end
  return true
end

function JUDGES.digits(raw, of)
  local digits = {}
  for i = 1, #raw do
    local byte = raw:byte(i)
    local high, low = floor(byte / 16), byte % 16
    if of.swapped then high, low = low, high end
    digits[#digits + 1], digits[#digits + 2] = high, low
  end
  local count = #digits
  while of.filler and count > 0 and digits[count] == of.filler do count = count - 1 end
  for i = 1, count do
    if digits[i] > 9 then return false end
  end
  return count <= of.digits
end

function JUDGES.shortest(raw, of, coding) return not is_longer(coding or {form = "sized_number", signed = of.signed}, raw) end

local function unpadded(raw, pad)
  local size = #raw
  while pad and size > 0 and raw:sub(size - #pad + 1, size) == pad do size = size - #pad end
  return raw:sub(1, size)
end

function Reader:not_its_kind(f, e)  -- what was expected; nil where the value is one
  local of = f.judge
  local raw = e.raw or (e.len > 0 and self.tvb:raw(e.first, e.len)) or ""
  if JUDGES[of.form](unpadded(raw, f.filled), of, f.coding) then return nil end
  return of.words
end
