-- Coded numbers ----------------------------------------------------------------------------------------------
-- Those of a varying width, by how they lie in bytes. A number is two halves: high * 2^32 + low; high may be negative.

local function appended(high, low, times, more)  -- the number times so much and more
  low = low * times + more
  local over = floor(low / 2 ^ 32)
  return high * times + over, low - over * 2 ^ 32
end

local function less_power(high, low, bits)  -- the number less 2^bits
  if bits >= 32 then return high - 2 ^ (bits - 32), low end
  low = low - 2 ^ bits
  if low < 0 then return high - 1, low + 2 ^ 32 end
  return high, low
end

-- Form -> function of it and the bytes that there are: the halves, and how many bytes the number takes; nil for none.
local forms = {}

function forms.groups(c, raw)
  local size = 0
  repeat
    size = size + 1
    if size > #raw then return nil end
  until raw:byte(size) < 128
  local high, low = 0, 0
  for i = 1, size do high, low = appended(high, low, 128, raw:byte(c.high_first and i or size + 1 - i) % 128) end
  if c.zigzag then
    local odd = low % 2
    low, high = floor(low / 2) + high % 2 * 2 ^ 31, floor(high / 2)
    if odd == 1 then high, low = -high - 1, 2 ^ 32 - 1 - low end
  elseif c.signed and raw:byte(c.high_first and 1 or size) % 128 >= 64 then
    high, low = less_power(high, low, 7 * size)
  end
  return high, low, size
end

function forms.prefix(c, raw)
  local part = 2 ^ (8 - c.prefix)
  local size = #raw > 0 and c.sizes[floor(raw:byte(1) / part) + 1]
  if not size or size > #raw then return nil end
  local high, low = 0, raw:byte(1) % part
  for i = 2, size do high, low = appended(high, low, 256, raw:byte(i)) end
  return high, low, size
end

function forms.length(c, raw)
  local first = raw:byte(1) or 255
  if first < 128 then return 0, first, 1 end
  if first == 128 then return -1, 2 ^ 32 - 1, 1 end
  if first == 255 or first - 127 > #raw then return nil end
  local high, low = 0, 0
  for i = 2, first - 127 do high, low = appended(high, low, 256, raw:byte(i)) end
  return high, low, first - 127
end

function forms.sized_number(c, raw)
  if #raw == 0 and c.signed then return nil end
  local high, low = 0, 0
  for i = 1, #raw do high, low = appended(high, low, 256, raw:byte(i)) end
  if c.signed and raw:byte(1) >= 128 then high, low = less_power(high, low, 8 * #raw) end
  return high, low, #raw
end

local function is_within(c, high, low)  -- whether a number has no more bits than its kind
  local bits = c.least < 0 and c.bits - 1 or c.bits
  if c.indefinite and high == -1 then return true end
  if c.least == 0 and high < 0 then return false end
  if bits < 32 then return math.abs(high * 2 ^ 32 + low + 0.5) < 2 ^ bits end
  return -2 ^ (bits - 32) <= high and high < 2 ^ (bits - 32)
end

-- The halves of the number at the start of some bytes, and its size; nil and what is there instead.
local function coded(c, raw)
  local high, low, size = forms[c.form](c, raw)
  if size and is_within(c, high, low) then return high, low, size end
  if c.form == "length" and raw:byte(1) == 128 then
    return nil, "0x80, the indefinite form, which ber_length(indefinite=True) reads as -1"
  end
  if not size and #raw < c.longest then return nil, string.format("%d byte%s", #raw, #raw == 1 and "" or "s") end
  return nil, "0x" .. raw:sub(1, c.longest):gsub(".", function(byte) return string.format("%02x", byte:byte()) end)
end

local function is_longer(c, raw)  -- whether the number that these bytes are takes more of them than it needs
  local size = #raw
  local first, second = raw:byte(1), raw:byte(2)
  if c.form == "prefix" then
    local less = 0
    for _, one in pairs(c.sizes) do less = one < size and one > less and one or less end
    local high, low = forms.prefix(c, raw)
    local bits = 8 * less - c.prefix
    return less > 0 and (bits < 32 and high == 0 and low < 2 ^ bits or bits >= 32 and high < 2 ^ (bits - 32))
  end
  if c.form == "sized_number" and not c.signed then return first == 0 end
  if size < 2 then return false end
  if c.form == "length" then return size == 2 and second < 128 or second == 0 end
  local sign = 128
  if c.form == "groups" then
    if not c.high_first then first, second = raw:byte(size), raw:byte(size - 1) end
    first, second, sign = first % 128, second % 128, 64
  end
  return first == 0 and (not c.signed or second < sign) or c.signed and first == 2 * sign - 1 and second >= sign
end

local function in_more(f, e, reader)  -- what is said of a number in more bytes than it needs
  local raw = f.coding and (e.raw or e.len > 0 and reader.tvb:raw(e.first, e.len) or "")
  return raw and is_longer(f.coding, raw) and " (in " .. #raw .. " bytes)" or ""
end
