-- Reading ----------------------------------------------------------------------------------------------------
-- One header, field by field, from bytes that need not fit its declaration: what can be read is kept, what cannot is a
-- fault. Nothing is shown before it is known to be there, so no packet can lead to an error of Lua's.

local function int(n, exact)  -- a number in decimal; `exact`: the same as a W, where there may be more of it than a double holds
  if not exact or math.abs(n) < 2 ^ 45 then return string.format("%.0f", n) end
  if math.abs(n) > 2 ^ 65 or W.compare(exact, W.pair(2 ^ 32, 0)) >= 0 or W.compare(exact, W.pair(-2 ^ 32, 0)) <= 0 then
    return n > 0 and "over 2**64" or "under -2**64"
  end
  local whole = n < 0 and W.sub(W.ZERO, exact) or exact
  return (n < 0 and "-" or "") .. tostring(UInt64.new(W.number(W.band(whole, W.of(2 ^ 32 - 1))), W.number(W.shr(whole, 32))))
end

local Scope = {}  -- the values that rules ask for
Scope.__index = Scope
function Scope:size(part)
  if part == "self" then return self.self_size or 0 end
  if part == "payload" then return self.payload_end - self.pos end
  return self.len[part] or 0
end
function Scope:count(name) return self.items[name] or self.len[name] or 0 end
function Scope:has(name) return truth(self.v[name] ~= nil) end

function Scope:says(name, exact, folded)  -- whether a text is one of some, as it is or in letters of any case
  local raw = self.raw[name]
  return truth(raw and (exact[raw] or folded[raw:lower()]))
end

local function as_wide(value)
  return type(value) == "table" and value or W.of(type(value) == "number" and value or 0)
end

-- Values from elsewhere: so many levels out, of the nearest header of a class, of the item before.
function Scope:outer(levels)
  local s = self
  for _ = 1, levels do s = s and s.parent end
  return s
end
function Scope:nearest(class, name)
  local s = self.parent or self.beyond
  while s and not (s.h.called[class] and s.h.by_name[name]) do s = s.parent or s.beyond end
  return s
end
function Scope:out(levels, name)
  local s = self:outer(levels)
  return as_wide(s and s.v[name])
end
function Scope:near(class, name)
  local s = self:nearest(class, name)
  return as_wide(s and s.v[name])
end
function Scope:said(where, name, exact, folded, among)  -- whether a text there is one of some; of digits whether the number is
  local s
  if type(where) == "number" then s = self:outer(where) else s = self:nearest(where, name) end
  if not s then return 0 end
  local number = s.v[name]
  if type(number) == "table" then number = W.number(number) end
  return truth(s:says(name, exact, folded) ~= 0 or among[number or ""])
end
local there = {}  -- fields of headers that Wireshark dissects: name -> a function for the last value before
function Scope:there(name) return there[name]() end
function Scope:earlier(name) return as_wide(self.former and self.former.v[name]) end

-- Where the header begins that is called so, itself, around it or below; how far after that it begins itself.
function Scope:origin(since)
  if since == "self" or self.h.called[since] then return self.start end
  if since == "packet" then return -self.tvb:offset() end
  local s = self.parent
  while s and not s.h.called[since] do s = s.parent end
  return s and s.start
end
function Scope:begun(since) return self.start - (self:origin(since) or self.start) end

-- The number in `bits` bits of a text of bytes, of which `skip` bits come before: two halves, (above 32 bits, below).
local function halves(raw, skip, bits)
  local high, low, left = 0, 0, bits
  for i = 1, #raw do
    local byte, here = raw:byte(i), 8
    if i == 1 then byte, here = byte % 2 ^ (8 - skip), 8 - skip end
    local take = math.min(here, left)
    byte = floor(byte / 2 ^ (here - take))
    low = low * 2 ^ take + byte
    local over = floor(low / 2 ^ 32)
    high, low, left = high * 2 ^ take + over, low - over * 2 ^ 32, left - take
  end
  return high, low
end

local function whole(f, high, low)  -- the value rules see
  if not f.wide then
    local n = high * 2 ^ 32 + low
    if f.signed and n >= 2 ^ (f.bits - 1) then n = n - 2 ^ f.bits end
    return n
  end
  if f.signed and high >= 2 ^ (f.bits - 33) then high = high - 2 ^ (f.bits - 32) end
  return W.pair(high, low)
end

function Scope:ahead(bits, wide)
  local size = math.ceil(bits / 8)
  if self.pos + size > self.limit then return wide and W.of(-1) or -1 end
  local high, low = halves(self.tvb:raw(self.pos, size), 0, bits)
  return whole({wide = wide, bits = bits}, high, low)
end

local function as_number(value)
  if type(value) == "table" then return W.number(value) end
  return type(value) == "number" and value or 0
end

local read  -- read(header, tvb, first byte, end, what is known of the packet) -> what was found

function Scope:inner(name, field)  -- a value of the header that a field holds
  local held = self.held[name]
  if held and not held.s and held.stop > held.first then
    held.s = read(declared[held.f.item], self.tvb, held.first, held.stop, {missing = 0, partial = false, faults = {}}).s
  end
  return held and held.s and held.s.v[field]
end

local function bytes_text(raw, most)  -- as Python writes bytes, cut after 32
  most = most or 32
  local quote = (raw:find("'", 1, true) and not raw:find('"', 1, true)) and '"' or "'"
  local text = raw:sub(1, most):gsub(".", function(c)
    local b = c:byte()
    if c == "\\" or c == quote then return "\\" .. c end
    if c == "\t" then return "\\t" elseif c == "\n" then return "\\n" elseif c == "\r" then return "\\r" end
    if b < 32 or b > 126 then return string.format("\\x%02x", b) end
    return c
  end)
  text = "b" .. quote .. text .. quote
  return #raw <= most and text or text .. "... (" .. #raw .. " bytes)"
end

local function names_of(f, n)  -- names of the value of an enumeration; nil where it has none
  if f.names then return f.names[n] end
  if not f.flags or n == 0 then return nil end
  local found, left = {}, n
  for _, flag in ipairs(f.flags) do
    if floor(n / flag.bit) % 2 == 1 then
      found[#found + 1] = flag.name
      left = left - flag.bit
    end
  end
  if left > 0 then found[#found + 1] = int(left) end
  return table.concat(found, "|")
end

local function decimal(f, value)
  if type(value) ~= "table" then return int(value) end
  local high = W.number(W.shr(value, 32))
  local low = W.number(W.band(value, W.of(2 ^ 32 - 1)))
  if f.signed then return tostring(Int64.new(low, high % 2 ^ 32)) end
  return tostring(UInt64.new(low, high % 2 ^ 32))
end

local function long_text(f, raw)  -- a number of bytes in decimal
  local limbs, sign = {0}, ""
  if f.little then raw = raw:reverse() end
  if f.signed and raw:byte(1) >= 128 then  -- the bits turned, and one more
    raw, sign = raw:gsub(".", function(c) return string.char(255 - c:byte()) end), "-"
  end
  local more = sign == "-" and 1 or 0
  for i = 1, #raw do
    local carry = raw:byte(i) + (i == #raw and more or 0)
    for j = 1, #limbs do
      local sum = limbs[j] * 256 + carry
      limbs[j], carry = sum % 10 ^ 7, floor(sum / 10 ^ 7)
    end
    if carry > 0 then limbs[#limbs + 1] = carry end
  end
  local text = sign .. int(limbs[#limbs])
  for j = #limbs - 1, 1, -1 do text = text .. string.format("%07.0f", limbs[j]) end
  return text
end

local function half_bytes(of, raw)  -- packed digits in their order, without what fills up after them
  local text = raw:gsub(".", function(c)
    local byte = c:byte()
    return string.format("%02x", of.swapped and byte % 16 * 16 + floor(byte / 16) or byte)
  end)
  return of.filler and text:gsub(string.format("%x+$", of.filler), "") or text
end

local function text_of(f, value, raw)
  if f.kind == "int" then
    local name = names_of(f, as_number(value))
    if not name then return decimal(f, value) end
    if f.flags then return string.format("%s (0x%0" .. math.ceil(f.bits / 4) .. "x)", name, value) end
    return name .. " (" .. decimal(f, value) .. ")"
  end
  if f.long then return long_text(f, raw) end
  if f.judge and f.judge.form == "digits" then
    local digits = half_bytes(f.judge, raw)
    local name = not digits:find("%a") and names_of(f, tonumber(digits))
    return digits:find("%a") and "raw(" .. bytes_text(raw) .. ")" or name and name .. " (" .. digits .. ")" or digits
  end
  return f.kind == "bytes" and bytes_text(raw) or (raw:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

local function is_fixed(e)  -- whether the value is the one that it always has
  if e.f.kind ~= "int" then return e.raw == e.f.fixed end
  if e.f.wide then return W.compare(e.value, e.f.fixed) == 0 end
  return e.value == e.f.fixed
end

local function broken(faults, first)  -- whether there are some besides those of values whose end is known
  for i = first or 1, #faults do
    if not faults[i].inner then return true end
  end
  return false
end

local DEEPEST, level = 64, 0  -- how many headers of one sort may hold each other, and do now

-- The headers of a repeated field; with `all` the bytes up to the limit are all its own.
local function read_items(n, f, first, limit, count, all, exact)
  local items, faults, ended = {}, {}, false  -- ended: by what the last one says
  if f.deep and level >= DEEPEST and count ~= 0 and (first < limit or f.one) then
    return items, first, {{where = f.owner .. "." .. f.name, at = first, expected = DEEPEST .. " levels of headers in headers at most", got = "more"}}, false
  end
  local item, inner, pos = declared[f.item], {missing = 0, partial = false, faults = {}, tvb = n.tvb, parent = n.s}, first
  while (pos < limit or (f.one and #items == 0 and not n.cut)) and (count == nil or #items < count) do
    local noted = #inner.faults
    level = level + (f.deep and 1 or 0)
    local one = read(item, n.tvb, pos, limit, inner)
    level = level - (f.deep and 1 or 0)
    if broken(inner.faults, noted + 1) or (one.pos <= pos and not f.one) then break end
    items[#items + 1] = one
    pos, inner.former = one.pos, one.s
    ended = f["until"] ~= nil and f["until"](one.s)
    if f.one or ended then break end
  end
  local where = f.owner .. "." .. f.name
  if f.one and all and #items > 0 and pos < limit then
    faults[1] = {where = where, at = pos, expected = item.name .. " to end here", got = int(limit - pos) .. " bytes more"}
  end
  local wanted = f.align and (first - pos - f.lead) % f.align or 0
  if wanted > 0 and all and pos + wanted == limit and n.tvb:raw(pos, wanted) == string.rep(f.fill, wanted) then
    pos = limit
    for i = #inner.faults, 1, -1 do
      if not inner.faults[i].inner then table.remove(inner.faults, i) end
    end
  elseif wanted > 0 and not all and not broken(inner.faults) and (count == nil or #items == count) then
    local there = math.min(wanted, limit - pos)
    if there < wanted or n.tvb:raw(pos, there) ~= string.rep(f.fill, wanted) then
      faults[1] = {where = where, at = pos, expected = int(wanted) .. (f.fill == "\0" and " zeros" or string.format(" bytes 0x%02x", f.fill:byte())) .. " that fill the items up to a multiple of "
        .. int(f.align) .. " bytes", got = there < wanted and int(there) .. " bytes" or bytes_text(n.tvb:raw(pos, there))}
    end
    pos = pos + there
  end
  for _, fault in ipairs(inner.faults) do
    local of = " for " .. fault.where  -- once, however many headers of that sort it is in
    local expected = fault.expected:find(of, 1, true) and fault.expected or fault.expected .. of
    faults[#faults + 1] = {where = where, at = fault.at, expected = expected, got = fault.got, inner = fault.inner, last = fault.last}
  end
  if not broken(faults) and count and #items < count then
    faults[#faults + 1] = {where = where, at = pos, expected = int(count, exact) .. " items", got = int(#items)}
  end
  return items, pos, faults, ended
end

local Reader = {}
Reader.__index = Reader

function Reader:fault(field, at, expected, got)
  local where = field == "" and self.h.name or self.h.name .. "." .. field
  self.ctx.faults[#self.ctx.faults + 1] = {where = where, at = at, expected = expected, got = got}
end

function Reader:truncated_field(field, at, expected, got, what, exact)
  if self.ctx.partial then
    self.ctx.cut, self.short = true, true
    return
  end
  self:fault(field, at, int(expected, exact) .. " " .. (what or "bytes"), int(got))
  if self.limit_of_layer == self.tvb:len() and self.ctx.missing > 0 then
    self.ctx.cut, self.short = true, true
    self.ctx.faults[#self.ctx.faults].cut = true
  end
end

function Reader:limit() return self.stop or self.limit_of_layer end

function Reader:entry(f, bit, range)  -- what a field of a fixed width is that begins at a bit, of the packet or of some bytes
  local first, last = floor(bit / 8), math.ceil((bit + f.bits) / 8)
  local raw, skip, entry = (range or self.tvb):raw(first, last - first), bit % 8, {f = f, first = first, len = last - first, range = range}
  if f.long then return self:long_entry(f, bit, entry) end
  if f.kind ~= "int" then
    entry.value, entry.raw = true, raw
    return entry
  end
  if f.little or f.low then raw = raw:reverse() end
  if f.low then skip = last * 8 - bit - f.bits end
  entry.high, entry.low = halves(raw, skip, f.bits)
  entry.value = whole(f, entry.high, entry.low)
  return entry
end

function Reader:fixed(f)  -- false where the bytes end before
  if f.bits > self:limit() * 8 - self.bit then
    local at = floor(self.bit / 8)
    self:truncated_field(f.name, at, math.ceil(f.bits / 8), math.max(0, self:limit() - at))
    while self.bit % 8 ~= 0 do  -- bits of a byte whose other half is missing are given back
      local last = table.remove(self.entries)
      self.s.v[last.f.name], self.known[last.f.name] = nil, nil
      self.bit = self.bit - last.f.bits
    end
    return false
  end
  local entry = self:entry(f, self.bit)
  if self.bit % 8 == 0 then self.unit = entry.first end
  self.bit, entry.unit = self.bit + f.bits, self.unit
  if f.kind ~= "int" then self.s.len[f.name], self.s.raw[f.name] = #entry.raw, entry.raw end
  self.s.v[f.name] = entry.value
  self.entries[#self.entries + 1] = entry
  if f.fixed and not is_fixed(entry) then self:fault(f.name, entry.first, f.expected, text_of(f, entry.value, entry.raw)) end
  return true
end

function Reader:coded(f)  -- false where there is no such number
  local pos, limit = floor(self.bit / 8), self:limit()
  local size, exact = limit - pos, nil
  if f.size then
    size, exact = f.size(self.s)
    if size < 0 then self:fault(f.name, pos, "a size of 0 or more", int(size, exact))
    elseif size > limit - pos then self:truncated_field(f.name, pos, size, limit - pos, nil, exact) end
    if size < 0 or size > limit - pos then
      self.trusted = false
      return false
    end
  end
  local raw = self.tvb:raw(pos, f.size and size or math.min(size, f.coding.longest))
  local high, low, taken = coded(f.coding, raw)
  if not high then
    if not f.size and (self.ctx.partial or (self.limit_of_layer == self.tvb:len() and self.ctx.missing > 0)) then
      self:truncated_field(f.name, pos, limit - pos + 1, limit - pos)
    else
      self:fault(f.name, pos, f.coding.words, low)
    end
    return false
  end
  local value = f.wide and W.pair(high, low) or high * 2 ^ 32 + low
  self.bit, self.s.v[f.name], self.s.len[f.name] = (pos + taken) * 8, value, taken
  local entry = {f = f, first = pos, len = taken, high = high, low = low, value = value}
  self.entries[#self.entries + 1] = entry
  if f.fixed and not is_fixed(entry) then self:fault(f.name, pos, f.expected, text_of(f, value)) end
  return true
end

local function in_digits(f, raw)  -- the number that text spells: high and low half, and its sign; nil for none
  local at = f.before and raw:find(f.before, 1, true)
  if at then
    if raw:find("[\128-\255]", at) then return nil end
    raw = raw:sub(1, at - 1)
  end
  local sign, letters = raw:match("^[ \t]*([+-]?)(%w+)[ \t]*$")
  if not letters or #raw > 80 then return nil end
  local high, low = 0, 0
  for i = 1, #letters do
    local digit = tonumber(letters:sub(i, i), 36)
    if digit >= f.digits then return nil end
    low = low * f.digits + digit
    local over = floor(low / 2 ^ 32)
    high, low = high * f.digits + over, low - over * 2 ^ 32
    if high >= 2 ^ 32 then return nil end
  end
  local negative = sign == "-" and (high > 0 or low > 0)
  if (negative and not f.negative) or high * 2 ^ 32 + low > f.most then return nil end
  return high, low, negative
end

local function in_halves(f, raw)  -- the number in packed digits: high and low half; nil for none
  local high, low, digits = 0, 0, half_bytes(f.judge, raw)
  if digits == "" or digits:find("%a") then return nil end
  for digit in digits:gmatch(".") do
    low = low * 10 + digit
    local over = floor(low / 2 ^ 32)
    high, low = high * 10 + over, low - over * 2 ^ 32
  end
  return high, low
end

function Reader:in_letters(f)  -- up to a delimiter, so many digits, of a size, or all that are left; false where there is none
  local pos, limit = floor(self.bit / 8), self:limit()
  local there = math.max(0, limit - pos)
  local raw, size, taken = there > 0 and self.tvb:raw(pos, there) or "", f.width or there, f.width or there
  if f.size then
    local exact
    size, exact = f.size(self.s)
    taken = size
    if size < 0 then
      self:fault(f.name, pos, "a size of 0 or more", int(size, exact))
      return false
    elseif size > there then
      self:truncated_field(f.name, pos, size, there, nil, exact)
      return false
    end
  end
  if f.ended then
    local at, from = nil, 1
    repeat
      at = raw:find(f.ended, from, true)
      from = at and at + 1
    until not at or (at - 1) % f.letter == 0
    size, taken = at and at - 1, at and at - 1 + #f.ended
    for _, other in ipairs(at and f.others or {}) do  -- the longest that ends there
      if #other <= taken and raw:sub(taken - #other + 1, taken) == other then
        size = taken - #other
        break
      end
    end
  elseif size > there then size = nil end
  local high, low, negative
  if size and f.digits then high, low, negative = in_digits(f, raw:sub(1, size)) end
  if not size or (f.digits and not high) then
    if self.ctx.partial or (self.limit_of_layer == self.tvb:len() and self.ctx.missing > 0) then
      self:truncated_field(f.name, pos, there + 1, there)
    else
      local got = f.ended and not size and there .. " bytes without it" or f.packed and there .. (there == 1 and " byte" or " bytes")
      self:fault(f.name, pos, f.written, got or bytes_text(raw:sub(1, size or f.width)))
    end
    return false
  end
  local entry = {f = f, first = pos, len = size, taken = taken, raw = raw:sub(1, size), value = true}
  if f.spaced then entry.raw = entry.raw:gsub("^[ \t]+", ""):gsub("[ \t]+$", "") end  -- what stands around a text is no part of it
  if f.packed then
    high, low = in_halves(f, entry.raw)
    entry.value = f.wide and W.pair(high or 0, low or 0) or (high or 0) * 2 ^ 32 + (low or 0)
  end
  if f.digits then
    if negative then
      low = (2 ^ 32 - low) % 2 ^ 32
      high = 2 ^ 32 - high - (low > 0 and 1 or 0)
    end
    entry.high, entry.low = high % 2 ^ 32, low
    local above = negative and high - 2 ^ 32 or high
    entry.value = f.wide and W.pair(above, low) or above * 2 ^ 32 + low
  end
  self.bit, self.s.v[f.name], self.s.len[f.name], self.s.raw[f.name] = (pos + taken) * 8, entry.value, taken, entry.raw
  self.entries[#self.entries + 1] = entry
  local other = f.fixed and (f.digits and as_number(entry.value) ~= (f.wide and W.number(f.fixed) or f.fixed) or not f.digits and entry.raw ~= f.fixed)
  if other then self:fault(f.name, pos, f.expected, (f.digits or f.packed) and text_of(f, entry.value, entry.raw) or bytes_text(entry.raw)) end
  return true
end

function Reader:lasting(f, items, faults, stop, limit)  -- the rest of the item at `stop` is elsewhere: what ended there may be no fault
  local last = {}
  if stop < limit then
    local former = items[#items]
    local part = {missing = 0, partial = true, faults = {}, tvb = self.tvb, parent = self.s, former = former and former.s}
    level = level + (f.deep and 1 or 0)
    read(declared[f.item], self.tvb, stop, limit, part)
    level = level - (f.deep and 1 or 0)
    for _, fault in ipairs(part.faults) do last[fault.at] = last[fault.at] or fault.last end
  end
  for _, fault in ipairs(faults) do
    fault.inner = fault.inner and (not fault.last or fault.at < stop or last[fault.at])
  end
  self.ctx.cut = true
end

function Reader:at_once(f, first, limit)  -- headers that cannot wait until they are shown; what is none of them stays bytes
  local items, stop, faults = read_items(self, f, first, limit, nil, true)
  local cut = broken(faults) and limit == self.limit_of_layer and (self.ctx.partial or (self.ctx.missing > 0 and limit == self.tvb:len()))
  if cut then self:lasting(f, items, faults, stop, limit) end
  for _, fault in ipairs(faults) do
    if fault.inner or not (cut and self.ctx.partial) then
      fault.last, fault.cut = fault.last or not fault.inner, cut and not fault.inner
      fault.inner = true
      self.ctx.faults[#self.ctx.faults + 1] = fault
    end
  end
  return items, stop
end

function Reader:counted_from(f)  -- where padding and offsets begin to count
  return f.since and self.at[f.since] or self.start - (f.begun and f.begun(self.s) or 0)
end

function Reader:varying(f)  -- false where a header is missing that a field holds
  local h, pos, limit = self.h, floor(self.bit / 8), self:limit()
  local size, exact, items, stop
  if f.element and f.count and not f.size then return self:counted(f) end
  if f.open then
    if not self.stop and self.total then limit = self.total
    elseif not self.stop then limit = math.max(pos, self.limit_of_layer - h.tail) end
    if f.after and #h.from_end > 0 then self:read_from_end(limit, pos) end
    size = limit - pos - (f.after and f.after(self.s) or 0)
  elseif f.size or f.pad or f.gap then
    local from = self:counted_from(f)
    if f.gap then size = (not f.there or f.there(self.s) ~= 0) and f.gap(self.s) - (pos - from) or 0
    elseif f.pad then size = (from - pos) % f.pad
    else size, exact = f.size(self.s) end
    if size < 0 then
      if f.gap then
        local there, whole = f.gap(self.s)
        self:fault(f.name, pos, "an offset of " .. int(pos - from) .. " or more, where the fields before it end", int(there, whole))
      else self:fault(f.name, pos, "a size of 0 or more", int(size, exact)) end
      size, self.trusted = 0, false
    elseif size > limit - pos then
      if f.gap and math.abs(size) >= 2 ^ 50 then exact = W.sub(({f.gap(self.s)})[2], W.of(pos - from)) end
      self:truncated_field(f.name, pos, size, limit - pos, nil, exact)
      size, self.trusted = limit - pos, false
    end
  elseif not f.count and self.stop and f == h.before[#h.before] then
    size = limit - pos
  else
    local count, whole
    if f.count then count, whole = f.count(self.s) end
    if not self.stop and self.total then limit = self.total end
    local faults, after, ended
    items, after, faults, ended = read_items(self, f, pos, limit, count, false, whole)
    if f["until"] and not (count or ended or self.stop or self.total) and after == self.tvb:len() then self.ctx.goes_on = true end
    local cut = broken(faults) and (self.ctx.partial or (self.ctx.missing > 0 and limit == self.tvb:len()))
    if cut then self:lasting(f, items, faults, after, limit) end
    for _, fault in ipairs(faults) do  -- but for an item whose rest is rightly elsewhere
      fault.cut = cut and not fault.inner
      if fault.inner or not (cut and self.ctx.partial) then self.ctx.faults[#self.ctx.faults + 1] = fault end
    end
    if f.one and #items == 0 then return false end
    self.s.items[f.name] = #items
    size = after - pos
  end
  size = math.max(size, 0)
  if f.now and not items then items, stop = self:at_once(f, pos, pos + size) end
  self.bit = (pos + size) * 8
  self.s.v[f.name] = true
  if f.one then self.s.held[f.name] = {f = f, first = pos, stop = pos + size, s = items and items[1].s} end
  if not items or stop then self.s.len[f.name], self.s.raw[f.name] = size, size > 0 and self.tvb:raw(pos, size) or "" end
  self.entries[#self.entries + 1] = {f = f, first = pos, len = size, items = items, stop = stop}
  return true
end

local function judged_text(f, raw)  -- bytes that are no value of their kind
  return f.judge and f.judge.form == "digits" and "raw(" .. bytes_text(raw, 65536) .. ")" or bytes_text(raw)
end

function Reader:judge(f, e)  -- whether a value is one of its kind: where it ends is known, whatever is in it
  local wrong
  local raw = e.raw or e.len > 0 and self.tvb:raw(e.first, e.len) or ""  -- at any bit fewer than the bytes that it touches
  if f.judge then wrong = self:not_its_kind(f, e)
  elseif f.whole and #raw % f.whole > 0 then wrong = "a multiple of " .. f.whole .. " bytes"
  elseif f.single and f.single.judge then
    for at = 1, #raw, f.whole do wrong = wrong or self:not_its_kind(f.single, {raw = raw:sub(at, at + f.whole - 1)}) end
  elseif f.element then wrong = self:none_of(f, e) end
  if not wrong then return end
  self:fault(f.name, e.first, wrong, f.coding and text_of(f, e.value) .. in_more(f, e, self) or judged_text(f, raw))
  self.ctx.faults[#self.ctx.faults].inner = true
end

function Reader:follows(f)  -- a value that is not in the bytes
  local pos, value, exact = floor(self.bit / 8), f.follows(self.s)
  self.s.v[f.name] = f.wide and W.of(value) or value
  self.entries[#self.entries + 1] = {f = f, first = pos, len = 0, value = value, high = floor(value / 2 ^ 32) % 2 ^ 32, low = value % 2 ^ 32}
  if value < f.least or value > f.most then self:fault(f.name, pos, f.expected, int(value, exact)) end
end

function Reader:field(f)
  local noted = #self.ctx.faults
  if f.row then self:scattered(f.row) end
  if self.taken[f.name] then return true end
  if f.among then return self:among_bits(f, noted) end
  if f.when then self.s.room = math.max(0, (self.stop or self.total or math.max(floor(self.bit / 8), self.limit_of_layer - self.h.tail)) - floor(self.bit / 8)) end
  if f.when and not f.when(self.s) then return true end
  self.at[f.name] = floor(self.bit / 8)
  if f.follows then
    self:follows(f)
  elseif f.origin then
    if not self:name(f) then return false end
  elseif f.bits then
    if f.coding then
      if not self:coded(f) then return false end
    elseif f.written then
      if not self:in_letters(f) then return false end
    elseif not self:fixed(f) then return false end
  elseif f.written then
    if not self:in_letters(f) then return false end
  elseif not self:varying(f) then return false end
  if f.by_left then self.s.after[f.name] = self.limit_of_layer - math.ceil(self.bit / 8) end
  self:obeyed(f, noted)
  self.known[f.name] = true
  self:bounds(f)
  return true
end

function Reader:obeyed(f, noted)  -- its kind, and the rule, of a value that was read; `noted`: how many faults there were before
  if self.short and floor(self.bit / 8) >= self.limit_of_layer then return end  -- the first bytes of a value tell nothing of it
  local count, e = #self.ctx.faults, self.entries[#self.entries]
  if count == noted and (f.judge or f.element or f.whole) then self:judge(f, e) end
  if #self.ctx.faults > count or not f.must or f.late or f.must(self.s) then return end
  self:broken(f, e)
end

function Reader:broken(f, e)  -- a value that does not obey its rule
  self:fault(f.name, self.at[f.name], f.obeys, text_of(f, e.value, e.raw) .. in_more(f, e, self))
  self.ctx.faults[#self.ctx.faults].inner = true
end

function Reader:bounds(f)
  local pos = floor(self.bit / 8)
  for _, which in ipairs({"stop", "total"}) do
    local said = self.h[which]
    local ready = said and said.needs[f.name]
    for name in pairs(ready and said.needs or {}) do ready = ready and self.known[name] end
    if ready then
      local size, exact = said.rule(self.s)
      local after = self.start + size
      local least = math.max(pos, self.start + self.h.least)
      local there = self.limit_of_layer - self.start + self.ctx.missing
      if which == "total" and there > 1500 and self.h.unsized and self.h.unsized(self.s) then
        after = self.limit_of_layer
      elseif after < least then
        local wrong = as_number(self.s.v[said.field])
        self:fault(said.field, self.start, "a size of " .. int(least - self.start) .. " bytes or more",
          decimal(self.h.by_name[said.field], self.s.v[said.field]) .. " (" .. int(size, exact) .. " bytes)")
        self.trusted = self.trusted and wrong == 0  -- a length of 0 is what a sender leaves out: all there is counts
        after = which == "total" and self.limit_of_layer or math.max(pos, math.min(least, self.limit_of_layer))
      elseif after > self.limit_of_layer then
        self:truncated_field(said.field, self.start, size, self.limit_of_layer - self.start, nil, exact)
        if which == "total" then self.ctx.partial = true end
        after = self.limit_of_layer
      end
      self[which] = after
    end
  end
end

function Reader:end_of_payload(pos)
  local h, limit = self.h, self.limit_of_layer
  if self.total then
    if self.total >= pos then return self.total end
    self:fault(h.total.field, self.start, "a size of " .. int(pos - self.start) .. " bytes or more", int(self.total - self.start))
    self.trusted = false
    return limit
  end
  if h.payload then
    local size, exact = h.payload.rule(self.s)
    local field = h.payload.field
    if size < 0 then
      if field then
        self:fault(field, self.start, "a payload of 0 bytes or more", int(size, exact))
        self.trusted = false
      end
      return math.max(pos, limit - h.tail)
    end
    if pos + size > limit then
      self:truncated_field(field or "payload", pos, size, limit - pos, "bytes of payload", exact)
      self.ctx.partial = true
      return limit
    end
    return pos + size
  end
  if h.tail > 0 and limit - h.tail < pos then
    self:truncated_field("", pos, h.tail, limit - pos, "bytes after the payload")
    return limit
  end
  return limit - h.tail
end

function Reader:trailer(at)
  if self.lost then return true end
  self.bit, self.stop = at * 8, nil
  for _, f in ipairs(self.h.after) do
    local pos = floor(self.bit / 8)
    if f.pad then
      local size = (self:counted_from(f) - pos) % f.pad
      if pos + size > self.limit_of_layer then
        self:truncated_field(f.name, pos, size, self.limit_of_layer - pos)
        size = self.limit_of_layer - pos
      end
      self.s.v[f.name], self.s.len[f.name] = true, size
      self.entries[#self.entries + 1] = {f = f, first = pos, len = size}
      self.bit = (pos + size) * 8
    elseif not self:field(f) then
      return true
    end
  end
  return false
end

-- What follows: a number of a declaration, the name of a dissector of Wireshark's, or nil.
function Reader:following(pos, after)
  if pos >= after or (self.h.opaque and self.h.opaque(self.s)) then return nil end
  for _, next in ipairs(self.h.next) do
    local value = self.s.v[next.field]
    local found = value and next.upper[as_number(value)]
    if found then return found end
  end
  for _, one in ipairs(self.h.conditions) do
    if one.holds(self.s) then return one.upper end
  end
  for _, next in ipairs(self.h.next) do  -- nobody declared the number: Wireshark may know it
    local value = self.s.v[next.field]
    if value and #next.tables > 0 then return {tables = next.tables, number = as_number(value)} end
  end
end

read = function(h, tvb, start, limit, ctx)
  local s = setmetatable({v = {}, len = {}, raw = {}, items = {}, held = {}, after = {}, room = 0, tvb = tvb, limit = limit, pos = 0, payload_end = limit,
    h = h, start = start, parent = ctx.parent, beyond = ctx.beyond, former = ctx.former}, Scope)
  local r = setmetatable({h = h, tvb = tvb, start = start, limit_of_layer = limit, ctx = ctx, s = s, bit = start * 8,
    trusted = true, known = {}, taken = {}, entries = {}, at = {}}, Reader)
  local faults, partial, cut = #ctx.faults, ctx.partial, ctx.cut
  for _, f in ipairs(h.before) do
    if not r:field(f) then
      if #h.from_end > 0 then r:forget_end() end
      r.cut, r.pos, r.payload_end = true, floor(r.bit / 8), limit
      r.last, r.outer = r.pos, limit
      s.pos, s.payload_end = r.pos, limit
      return r
    end
  end
  for _, one in ipairs(h.choices) do
    if one.holds(s) then  -- it is one that goes on after these fields: read as such from its start
      while #ctx.faults > faults do table.remove(ctx.faults) end
      ctx.partial, ctx.cut = partial, cut
      return read(declared[one.header], tvb, start, limit, ctx)
    end
  end
  r.pos = floor(r.bit / 8)
  if r.stop and r.pos ~= r.stop then
    -- Bytes inside the header by its own word that no field takes: left to the payload, unread.
    r:fault(h.before[#h.before].name, r.pos, "a header of " .. int(r.pos - start) .. " bytes", int(r.stop - start))
    r.trusted = false
  end
  if not ctx.cut then r.head_size = r.pos - start end
  r.payload_end = h.behind and r:before_end(r.pos) or r:end_of_payload(r.pos)
  s.pos, s.payload_end, s.self_size = r.pos, r.payload_end, r.pos - start
  r.cut = r:trailer(r.payload_end)
  local over = limit - math.max(floor(r.bit / 8), r.payload_end)
  if h.exact and r.trusted and not r.cut and over > 0 then
    r:fault("", limit - over, h.name .. " to end here", int(over) .. " bytes more")
    ctx.faults[#ctx.faults].inner = true
  end
  if #h.views > 0 or h.only then r:look_inside() end
  r.outer = math.max(floor(r.bit / 8), r.payload_end)
  if r.trusted then r.upper = r:following(r.pos, r.payload_end) end
  for _, e in ipairs(r.cut and {} or r.entries) do  -- what goes by what stands after it
    local part = e.f.by_left and (ctx.partial or (limit == tvb:len() and ctx.missing > 0))
    if e.f.late and not part and not e.f.must(s) then r:broken(e.f, e) end
  end
  for _, short in ipairs(h.short) do
    if short(s) then ctx.partial = true end
  end
  return r
end
