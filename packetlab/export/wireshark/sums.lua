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

local function crc(polynomial)
  local steps = {}
  for byte = 0, 255 do
    local c = byte
    for _ = 1, 8 do
      c = c % 2 == 1 and bit.bxor(polynomial, bit.rshift(c, 1)) or bit.rshift(c, 1)
    end
    steps[byte] = c
  end
  return function(data)
    local c = -1
    for i = 1, #data do
      c = bit.bxor(steps[bit.band(bit.bxor(c, data:byte(i)), 255)], bit.rshift(c, 8))
    end
    return bit.bnot(c) % 2 ^ 32
  end
end

local SUMS = {crc32 = crc(0xEDB88320), crc32c = crc(0x82F63B78)}

function SUMS.sctp(data)  -- CRC-32C, lowest byte first
  local sum, swapped = SUMS.crc32c(data), 0
  for _ = 1, 4 do
    sum, swapped = floor(sum / 256), swapped * 256 + sum % 256
  end
  return swapped
end

function SUMS.internet(data, more)  -- RFC 1071
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

-- The addresses that checksums of layer i cover, and its number with the layer that has them; nil where none has.
local function pseudo(layers, i, below)
  local h = layers[i].h
  for j = i - 1, 1, -1 do
    local carrier = layers[j]
    if carrier.h.pseudo then
      local texts = {}
      for _, name in ipairs(carrier.h.pseudo) do
        for _, entry in ipairs(carrier.entries) do
          if entry.f.name == name then texts[#texts + 1] = carrier.tvb:raw(entry.first, entry.len) end
        end
      end
      return table.concat(texts), h.numbers[carrier.h.index] or 0
    end
  end
  local source, destination = bytes_of(below.source), bytes_of(below.destination)
  if source and destination then return source .. destination, h.numbers[0] or 0 end
end

local function covered(n, sum, own)
  local data = ""
  for _, part in ipairs(sum.over) do
    if part == "self" then data = data .. n.tvb:raw(n.start, n.pos - n.start)
    elseif part == "payload" then data = data .. n.tvb:raw(n.pos, n.payload_end - n.pos)
    elseif part ~= "pseudo" then
      for _, entry in ipairs(n.entries) do
        if entry.f.name == part then data = data .. n.tvb:raw(entry.first, entry.len) end
      end
    end
    if part == "self" and own.first < n.pos then  -- its own bytes count as zeros
      local at = #data - (n.pos - n.start) + own.first - n.start
      data = data:sub(1, at) .. string.rep("\0", own.len) .. data:sub(at + own.len + 1)
    end
  end
  return data
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
  local carried, over_payload = false, false
  for _, part in ipairs(sum.over) do
    carried, over_payload = carried or part == "pseudo", over_payload or part == "payload"
  end
  local addresses, number
  if carried then addresses, number = pseudo(layers, i, below) end
  local value = as_number(entry.value)
  if sum.none and value == sum.none then return addresses and #addresses == 32 and ILLEGAL or NOT_PRESENT end
  for _, part in ipairs(sum.over) do  -- a byte that fills the packet up may be what was cut off
    local f = n.h.by_name[part]
    local there, from = n.s.len[part], n.payload_end - n.start
    if f and f.pad and there and (ctx.missing > 0 or ctx.cut) and there < -from % f.pad then return UNVERIFIED end
  end
  if n.cut or (over_payload and not is_whole(layers, i, ctx, below)) or (carried and not addresses) then
    return UNVERIFIED
  end
  local data, more = covered(n, sum, entry), 0
  if addresses then
    more = number + #data
    for word in words(addresses) do more = more + word end
  end
  local right = SUMS[sum.algorithm](data, more)
  if sum.algorithm == "internet" and not sum.none then  -- 0 and 0xFFFF are the same sum
    return (value - right) % 65535 == 0 and GOOD or BAD, right
  end
  if sum.none and right == sum.none then right = sum.instead end
  return value == right and GOOD or BAD, right
end
