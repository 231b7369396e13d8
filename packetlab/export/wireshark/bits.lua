-- Free bits --------------------------------------------------------------------------------------------------
-- Fields that begin at any bit and are as wide as values say: `codec.bits.careful` in Lua. `among` of a field has its sort, the bits
-- of each value, the rule of its width, count or size, and whether bits count from the lowest of each byte.

local WIDEST = 4096

local function bits_at(tvb, at, bits, low)  -- the bytes in which some bits lie, and how many bits of them come before these
  local first, last = floor(at / 8), math.ceil((at + bits) / 8)
  local raw = bits > 0 and tvb:raw(first, last - first) or ""
  if low then return raw:reverse(), last * 8 - at - bits end
  return raw, at % 8
end

local function shifted(raw, skip, bits)  -- the same bits in as few bytes as hold them
  local found, carry, part = {}, 0, 2 ^ (#raw * 8 - skip - bits)
  for i = 1, #raw do
    local byte = carry * 256 + (i == 1 and raw:byte(i) % 2 ^ (8 - skip) or raw:byte(i))
    found[i], carry = string.char(floor(byte / part)), byte % part
  end
  return table.concat(found):sub(1 + #found - math.ceil(bits / 8))
end

local function number_in(raw, skip, bits, signed)  -- two halves; the upper one is negative where the number is
  local high, low = halves(raw, skip, bits)
  if signed and bits > 32 and high >= 2 ^ (bits - 33) then high = high - 2 ^ (bits - 32)
  elseif signed and bits > 0 and bits <= 32 and low >= 2 ^ (bits - 1) then high, low = -1, low + 2 ^ 32 - 2 ^ bits end
  return high, low
end

function Reader:bit_limit() return self.bits_end or self:limit() * 8 end

function Reader:misfit(f, expected, got, more, exact)  -- what is wrong; `more`: bytes that would do
  return {f = f, at = floor(self.bit / 8), expected = expected, got = got, more = more, exact = exact}
end

function Reader:room(f, bits, exact)  -- what is wrong where so many bits are not there
  local left = math.max(0, self:bit_limit() - self.bit)
  if bits <= left then return nil end
  exact = exact and W.fdiv(W.add(exact, W.of(self.bit % 8 + 7)), W.of(8))
  return self:misfit(f, "", floor(left / 8), math.ceil((self.bit % 8 + bits) / 8), exact)
end

function Reader:take_bits(f, bits)  -- an entry of what the bits from here on are
  local first = floor(self.bit / 8)
  local e = {f = f, bit = self.bit, first = first, len = bits > 0 and math.ceil((self.bit + bits) / 8) - first or 0}
  self.bit, self.entries[#self.entries + 1] = self.bit + bits, e
  return e
end

function Reader:set_bytes(e, raw, skip, bits, low)  -- what some bits are as bytes: of a number the highest first
  local f = e.f
  raw = shifted(raw, skip, bits)
  local first, fill = f.signed and raw:byte(1) or 0, 2 ^ (bits % 8)
  if first >= fill / 2 and fill > 1 then raw = string.char(first + 256 - fill) .. raw:sub(2) end  -- above a negative number are ones
  e.value, e.raw = f.long and W.of_bytes(raw, f.signed) or true, low and not f.long and raw:reverse() or raw
  e.shifted = bits > 0 and (skip > 0 or bits % 8 > 0 or (low and f.long))
end

function Reader:long_entry(f, bit, e)  -- a number of many bits in a field of a fixed width
  local low = f.low or f.little
  local raw, skip = bits_at(self.tvb, bit, f.bits, low)
  self:set_bytes(e, raw, skip, f.bits, low)
  if not f.shared then e.raw, e.shifted = self.tvb:raw(e.first, e.len), false end
  return e
end

function Reader:bit_coded(f)  -- a number that tells its own size
  local a, left = f.among, math.max(0, self:bit_limit() - self.bit)
  local there = floor(left / 8)
  local most = math.min(there, f.coding and f.coding.longest or f.width)
  local raw, skip = bits_at(self.tvb, self.bit, most * 8, a.low)
  raw = shifted(raw, skip, most * 8)
  if a.low then raw = raw:reverse() end
  local high, low, size, got
  if f.coding then
    high, low, size = coded(f.coding, raw)
    got = low
  elseif #raw == f.width then
    size, got = f.width, bytes_text(raw)
    if f.packed then high, low = in_halves(f, raw) else high, low = in_digits(f, raw) end
  else
    got = f.packed and #raw .. (#raw == 1 and " byte" or " bytes") or bytes_text(raw)
  end
  if not high and not (f.packed and size) then
    if self.ctx.partial or (self.limit_of_layer == self.tvb:len() and self.ctx.missing > 0) then
      local touched = math.ceil(self:bit_limit() / 8) - floor(self.bit / 8)  -- bytes, with the one that it begins in
      local wrong = self:misfit(f, "", touched, touched + 1)
      wrong.unfinished = true
      return wrong
    end
    return self:misfit(f, f.coding and f.coding.words or f.written, got)
  end
  if not high and self.bits_end then return self:misfit(f, f.written, "raw(" .. got .. ")") end  -- no item
  local from, e = floor(self.bit / 8), self:take_bits(f, size * 8)
  if not high then self:fault(f.name, from, f.written, "raw(" .. got .. ")") end
  e.high, e.low, e.raw, e.shifted = high or 0, low or 0, raw:sub(1, size), e.bit % 8 > 0
  e.value = f.wide and W.pair(e.high, e.low) or e.high * 2 ^ 32 + e.low
  self.s.v[f.name], self.s.len[f.name], self.s.raw[f.name] = e.value, size, e.raw
end

function Reader:bit_value(f)  -- read one field; what is wrong where it does not fit
  local a, s = f.among, self.s
  if a.sort == "coded" then return self:bit_coded(f) end
  local measure, exact = 0, nil
  if a.measure then measure, exact = a.measure(s) end
  if a.sort == "wide" and (measure < 0 or measure > WIDEST) then return self:misfit(f, "a width of 0 to " .. WIDEST .. " bits", int(measure, exact)) end
  if measure < 0 then return self:misfit(f, "a " .. a.by .. " of 0 or more", int(measure, exact)) end
  if a.sort == "values" or a.sort == "items" then return self:several(f, measure, exact) end
  local bits = ({spare = -self.bit % 8, wide = measure, sized = measure * 8})[a.sort] or a.each
  local short = self:room(f, bits, exact and W.mul(exact, W.of(8)))
  if short then return short end
  local raw, skip = bits_at(self.tvb, self.bit, bits, a.low)
  local e = self:take_bits(f, bits)
  if f.kind == "int" then
    e.high, e.low = number_in(raw, skip, bits, f.signed)
    e.value = f.wide and W.pair(e.high, e.low) or e.high * 2 ^ 32 + e.low
  else
    self:set_bytes(e, raw, skip, bits, a.low)
    if not f.long then s.len[f.name], s.raw[f.name] = #e.raw, e.raw end
  end
  s.v[f.name] = e.value
end

function Reader:several(f, measure, exact)  -- values, or headers, side by side
  local a, open = f.among, f.among.by == ""
  local count, bits = a.by == "count" and measure or nil, measure * 8
  if open then
    local stop = self.stop or self.total or self.limit_of_layer - self.h.tail
    bits = (stop - (a.after and a.after(self.s) or 0)) * 8 - self.bit
    if bits < 0 then return self:misfit(f, "values up to the end", "none") end
  end
  if not count and a.each > 0 then
    count = floor(bits / a.each)
    if bits % a.each > 0 and not a.spare then
      return self:room(f, bits, exact and W.mul(exact, W.of(8))) or self:misfit(f, "values of " .. int(a.each) .. " bits that fill " .. int(bits) .. " bits", int(bits % a.each) .. " bits more")
    end
  end
  local times = exact and W.of(a.each > 0 and a.by == "count" and a.each or 8)
  local short = self:room(f, a.each > 0 and count * a.each or not count and bits or 0, exact and W.mul(exact, times))
  if short then return short end
  local begin, items = self.bit, {}
  if a.sort == "values" then
    self:take_bits(f, count * a.each).count = count
  else
    local limit = count and self:bit_limit() or begin + bits
    while count and #items < count or not count and self.bit < limit do
      local from = self.bit
      local one, wrong = self:bit_item(f, self.bit)
      if wrong then return wrong end
      items[#items + 1], self.bit = one, one.bit
      if self.bit > limit or (not count and self.bit == from) then
        wrong = self:misfit(f, declared[f.item].name .. " up to the end", "one of " .. int(self.bit - from) .. " bits")
        wrong.at = floor(from / 8)
        return wrong
      end
    end
    local stop = self.bit
    self.bit = begin
    self:take_bits(f, stop - begin).items = items
  end
  self.s.v[f.name], self.s.items[f.name] = true, count or #items
end

function Reader:bit_item(f, at)  -- a header that is an item of bits; or what is wrong with it
  local h = declared[f.item]
  local s = setmetatable({v = {}, len = {}, raw = {}, items = {}, held = {}, tvb = self.tvb, limit = self.limit_of_layer, pos = 0, payload_end = self.limit_of_layer, h = h}, Scope)
  local r = setmetatable({h = h, tvb = self.tvb, start = floor(at / 8), s = s, bit = at, bits_end = self:bit_limit(), entries = {}, limit_of_layer = self.limit_of_layer, ctx = self.ctx}, Reader)
  for _, g in ipairs(h.before) do
    local from = r.bit
    local wrong = (not g.when or g.when(s)) and r:bit_value(g)
    local e = r.entries[#r.entries]
    if not wrong and e and e.f == g and g.judge then
      local expected = self:not_its_kind(g, e)
      wrong = expected and {at = floor(from / 8), expected = expected, got = g.coding and text_of(g, e.value) .. in_more(g, e, self) or judged_text(g, e.raw)}
    end
    if not wrong and e and e.f == g then
      local expected = g.fixed and not is_fixed(e) and g.expected or g.must and not g.must(s) and g.obeys
      if expected then wrong = {at = floor(from / 8), expected = expected, got = text_of(g, e.value, e.raw) .. in_more(g, e, self)} end
    end
    if wrong then
      wrong.f, wrong.expected = f, wrong.expected .. (wrong.expected == "" and "" or " ") .. "for " .. h.name .. "." .. g.name
      return nil, wrong
    end
  end
  r.pos = math.ceil(r.bit / 8)
  r.outer = r.pos
  return r
end

function Reader:among_bits(f, noted)  -- false where it does not fit: what is left goes to the payload from a byte boundary on
  local from, count, wrong = self.bit, #self.entries, nil
  if not f.when or f.when(self.s) then
    self.at[f.name] = floor(from / 8)
    wrong = self:bit_value(f)
    if not wrong then
      local e = self.entries[#self.entries]
      self.known[f.name] = true
      if f.fixed and not is_fixed(e) then self:fault(f.name, e.first, f.expected, text_of(f, e.value, e.raw)) end
      self:obeyed(f, noted)
      self:bounds(f)
    end
  end
  if not wrong and f.among.last and self.bit % 8 > 0 then wrong = self:misfit(f, "fields that fill whole bytes", int(self.bit % 8) .. " bits more") end
  if not wrong then return true end
  if not wrong.more then self:fault(wrong.f.name, wrong.at, wrong.expected, wrong.got)
  elseif wrong.expected ~= "" and not wrong.unfinished then self:fault(wrong.f.name, wrong.at, int(wrong.more, wrong.exact) .. " bytes " .. wrong.expected, int(wrong.got))
  else self:truncated_field(wrong.f.name, wrong.at, wrong.more, wrong.got, nil, wrong.exact) end
  if #self.entries == count then self.bit = from end
  while self.bit % 8 > 0 do
    local last = table.remove(self.entries)
    local name = last.f.name
    self.bit, self.s.v[name], self.s.len[name], self.s.items[name], self.known[name] = last.bit, nil, nil, nil, nil
  end
  return false
end

-- What is no whole bytes of the packet, shifted, as a source of bytes of its own.
function Reader:shifted_range(e)
  e.range = e.range or ByteArray.new(e.raw, true):tvb(self.h.name .. "." .. e.f.name)(0, #e.raw)
  return e.range
end

function Reader:show_values(tree, e, most, show)  -- numbers side by side, one by one; `show` those that stand for something else
  local each, a, said = e.f.each, e.f.among, {}
  for at = e.bit, e.bit + (math.min(e.count, most) - 1) * a.each, a.each do
    local raw, skip = bits_at(self.tvb, at, a.each, a.low)
    local high, low = number_in(raw, skip, a.each, each.signed)
    local value, text = high * 2 ^ 32 + low, nil
    if each.view then
      text = show(tree, self, {f = each, first = floor(at / 8), len = #raw, high = high, low = low, value = each.wide and W.pair(high, low) or value}).text:gsub("^.-: ", "")
    else
      if each.form == "uint64" then value = UInt64.new(low, high) elseif each.form == "int64" then value = Int64.new(low, high % 2 ^ 32) end
      tree:add(each.shown, self.tvb(floor(at / 8), #raw), value)
    end
    said[#said + 1] = #said < 20 and (text or tostring(value)) or nil
  end
  tree:append_text(": " .. table.concat(said, ", ") .. (e.count > 20 and ", ..." or ""))
end
