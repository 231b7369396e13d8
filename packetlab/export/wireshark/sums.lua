-- Checksums --------------------------------------------------------------------------------------------------

local BAD, GOOD, UNVERIFIED, NOT_PRESENT, ILLEGAL = 0, 1, 2, 3, 4

local function words(data)  -- each two bytes as a number, an odd last one with a zero after it
  local i = -1
  return function()
    i = i + 2
    if i > #data then return nil end
    return data:byte(i) * 256 + (data:byte(i + 1) or 0)
  end
end

local function mirrored(high, low, bits)  -- with the bits in the other order
  local a, b = 0, 0
  for _ = 1, bits do
    a = bit.bor(bit.lshift(a, 1), bit.rshift(b, 31))
    b = bit.bor(bit.lshift(b, 1), bit.band(low, 1))
    low = bit.bor(bit.rshift(low, 1), bit.lshift(bit.band(high, 1), 31))
    high = bit.rshift(high, 1)
  end
  return a, b
end

local function steps_of(of)  -- what each byte at the low end of a register makes of it: two tables, upper and lower halves
  if of.upper then return of.upper, of.lower end
  of.upper, of.lower = {}, {}
  local p, q = mirrored(of.poly[1], of.poly[2], of.bits)
  for byte = 0, 255 do
    local a, b = 0, byte
    for _ = 1, 8 do
      local odd = bit.band(b, 1) == 1
      b = bit.bor(bit.rshift(b, 1), bit.lshift(bit.band(a, 1), 31))
      a = bit.rshift(a, 1)
      if odd then a, b = bit.bxor(a, p), bit.bxor(b, q) end
    end
    of.upper[byte], of.lower[byte] = a, b
  end
  return of.upper, of.lower
end

local SUMS = {}  -- of data and parameters: the value, what is above 32 bits of it

function SUMS.crc(data, of)  -- the lowest bit first; with the highest first the same over mirrored bytes
  local upper, lower = steps_of(of)
  local a, b = mirrored(of.init[1], of.init[2], of.bits)
  for i = 1, #data do
    local byte = data:byte(i)
    if not of.reflect_in then
      local _, turned = mirrored(0, byte, 8)
      byte = turned
    end
    local index = bit.band(bit.bxor(b, byte), 255)
    b = bit.bxor(bit.bor(bit.rshift(b, 8), bit.lshift(a, 24)), lower[index])
    a = bit.bxor(bit.rshift(a, 8), upper[index])
  end
  if not of.reflect_out then a, b = mirrored(a, b, of.bits) end
  a, b = bit.bxor(a, of.xor[1]), bit.bxor(b, of.xor[2])
  return (of.swapped and bit.bswap(b) or b) % 2 ^ 32, a % 2 ^ 32
end

function SUMS.xor(data)
  local value = 0
  for i = 1, #data do value = bit.bxor(value, data:byte(i)) end
  return value
end

local function numbers(data, size, little)  -- each `size` bytes as a number, zeros for what the last one lacks
  local i = 1 - size
  return function()
    i = i + size
    if i > #data then return nil end
    local value = 0
    for k = 0, size - 1 do value = value * 256 + (data:byte(i + (little and size - 1 - k or k)) or 0) end
    return value
  end
end

function SUMS.sum(data, of)
  local total, modulus = 0, 2 ^ of.bits
  for value in numbers(data, of.unit / 8, of.little) do
    total = total + value
    if total >= modulus then total = total - modulus + (of.carry and 1 or 0) end
  end
  if of.inverted then return modulus - 1 - total end
  return of.negated and (modulus - total) % modulus or total
end

local function fletcher(data, size, little, modulus, first)  -- the sum and the sum of sums
  local second = 0
  for value in numbers(data, size, little) do
    first = (first + value) % modulus
    second = (second + first) % modulus
  end
  return first, second
end

function SUMS.fletcher(data, of)
  local first, second = fletcher(data, of.bits / 16, of.little, 2 ^ (of.bits / 2) - (of.power and 0 or 1), 0)
  if of.bits == 64 then return first, second end
  return second * 2 ^ (of.bits / 2) + first
end

function SUMS.adler(data)  -- RFC 1950
  local first, second = fletcher(data, 1, false, 65521, 1)
  return second * 65536 + first
end

function SUMS.iso(data, _, _, at)  -- RFC 905 annex B: the two bytes at `at` that bring both sums to 0
  local first, second = fletcher(data, 1, false, 255, 0)
  local x = ((#data - at - 1) * first - second) % 255
  if x == 0 then x = 255 end
  local y = 510 - first - x
  return x * 256 + (y > 255 and y - 255 or y)
end

function SUMS.internet(data, _, more)  -- RFC 1071
  local sum = more
  for word in words(data) do sum = sum + word end
  while sum > 65535 do sum = sum % 65536 + floor(sum / 65536) end
  return 65535 - sum
end

function SUMS.xns(data)  -- add with the carry brought round, then rotate left by one bit; minus zero is zero
  local sum = 0
  for word in words(data) do
    sum = sum + word
    if sum > 65535 then sum = sum - 65535 end
    sum = sum * 2
    if sum > 65535 then sum = sum - 65535 end
  end
  return sum % 65535
end

local function bytes_of(address)  -- of an IPv4 or IPv6 address in text; nil where it is neither
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if a then return string.char(a, b, c, d) end
  if not address:find(":", 1, true) or address:find("[^%x:.]") then return nil end
  local function groups(text)
    local found = {}
    for group in text:gmatch("[^:]+") do
      local e, f, g, h = group:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
      if e then
        found[#found + 1] = e * 256 + f
        found[#found + 1] = g * 256 + h
      else
        found[#found + 1] = tonumber(group, 16)
      end
    end
    return found
  end
  local left, right = address:match("^(.-)::(.*)$")
  local first, last = groups(left or address), groups(right or "")
  while #first + #last < 8 do first[#first + 1] = 0 end
  for _, word in ipairs(last) do first[#first + 1] = word end
  if #first ~= 8 then return nil end
  local bytes = ""
  for _, word in ipairs(first) do bytes = bytes .. string.char(floor(word / 256), word % 256) end
  return #bytes == 16 and bytes or nil
end

local function number_with(layers, i, carrier)  -- of layer i, or of the layer that holds it
  for j = i, layers.held or i, -1 do
    local number = layers[j].h.numbers[carrier]
    if number then return number end
  end
  return 0
end

-- The addresses that checksums of layer i cover, and its number with the layer that has them; nil where none has.
local function pseudo(layers, i, below)
  for j = i - 1, 1, -1 do
    local carrier = layers[j]
    if carrier.h.pseudo then
      local texts = {}
      for _, name in ipairs(carrier.h.pseudo) do
        for _, entry in ipairs(carrier.entries) do
          if entry.f.name == name then texts[#texts + 1] = carrier.tvb:raw(entry.first, entry.len) end
        end
      end
      return table.concat(texts), number_with(layers, i, carrier.h.index)
    end
  end
  local source, destination = bytes_of(below.source), bytes_of(below.destination)
  if source and destination then return source .. destination, number_with(layers, i, 0) end
end

local function covered(n, sum, own)  -- what a checksum goes over, and where it stands in that; nil where a header that has it is too short
  local data, at = "", 0
  for _, region in ipairs(sum.regions) do
    local first, last = n.start, n.pos
    if region.value then  -- a number that is not sent
      local value, bytes = as_number(n.s.v[region.value]), ""
      for _ = 1, region.size do
        local byte = string.char(value % 256)
        bytes, value = region.little and bytes .. byte or byte .. bytes, math.floor(value / 256)
      end
      data, first = data .. bytes, nil
    end
    if region.part == "payload" then first, last = n.pos, n.payload_end end
    if region.names then
      first, last = nil, nil
      for _, entry in ipairs(n.entries) do
        if region.names[entry.f.name] then
          first, last = first or entry.first, entry.first + (entry.taken or entry.len)
        end
      end
      if region.skip and (first and last - first or 0) < math.max(region.skip, region.stop or 0) then return nil end
      if last and region.less then last = last - region.less end
      if first and region.skip then
        if region.stop then last = math.min(last, first + region.stop) end
        first = first + region.skip
      end
    end
    if first and first < last then
      local piece = region.zeros and string.rep("\0", last - first) or n.tvb:raw(first, last - first)
      if own.first >= first and own.first < last then  -- its own bytes count as zeros
        at = #data + own.first - first
        piece = piece:sub(1, own.first - first) .. string.rep("\0", own.len) .. piece:sub(own.first - first + own.len + 1)
      end
      data = data .. piece
    end
  end
  return data, at
end

-- Whether all bytes that layer i had on the wire are here.
local function is_whole(layers, i, ctx, below)
  if not below.whole then return false end
  local said = below.said
  for j = 1, i do
    local n = layers[j]
    if j < i and n.h.partial and n.h.partial(n.s) then return false end
    for _, one in ipairs(n.h.sizes) do
      local value = n.s.v[one.field]
      if value == nil then return false end
      if one.rule then
        if one.rule(n.s) < as_number(value) then return false end
        said = true
      end
    end
  end
  return said or ctx.missing == 0
end

local function verdict(layers, i, entry, ctx, below)
  local n, sum = layers[i], entry.f.sum
  local over_payload = false
  for _, region in ipairs(sum.regions) do over_payload = over_payload or region.part == "payload" end
  local addresses, number
  if sum.pseudo then addresses, number = pseudo(layers, i, below) end
  local value = as_number(entry.value)
  if sum.where and not sum.where(n.s) then return NOT_PRESENT end
  if sum.none and value == sum.none then return addresses and #addresses == 32 and ILLEGAL or NOT_PRESENT end
  for _, region in ipairs(sum.regions) do
    for part in pairs(region.names or {}) do  -- a byte that fills the packet up may be what was cut off
      local f = n.h.by_name[part]
      local there, from = n.s.len[part], n.payload_end - n.start
      if f and f.pad and there and (ctx.missing > 0 or ctx.cut) and there < -from % f.pad then return UNVERIFIED end
    end
  end
  if n.cut or (over_payload and not is_whole(layers, i, ctx, below)) or (sum.pseudo and not addresses) then
    return UNVERIFIED
  end
  if sum.right then  -- over bits: a rule of fields
    local right = sum.right(n.s)
    return value == right and GOOD or BAD, right
  end
  local data, at = covered(n, sum, entry)
  if not data then return UNVERIFIED end
  local more = 0
  if addresses then
    more = number + #data
    for word in words(addresses) do more = more + word end
  end
  local right, high = SUMS[sum.word](data, sum.of, more, at)
  if sum.word == "internet" and not sum.none then  -- 0 and 0xFFFF are the same sum
    return (value - right) % 65535 == 0 and GOOD or BAD, right
  end
  if sum.word == "iso" then  -- and so are 0 and 255, of each byte
    local same = floor(value / 256) % 255 == floor(right / 256) % 255 and value % 256 % 255 == right % 256 % 255
    return same and GOOD or BAD, right
  end
  if sum.none and right == sum.none then right = sum.instead end
  return entry.low == right and entry.high == (high or 0) and GOOD or BAD, right, high
end
