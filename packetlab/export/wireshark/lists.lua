-- Lists of values --------------------------------------------------------------------------------------------
-- Values side by side, each of which tells its own size: read one after the other, as fields are.

function Reader:elements(f, first, limit, most)  -- the values from a byte on, so many at most, where they end, the first fault
  local s = setmetatable({v = {}, len = {}, raw = {}, items = {}, held = {}, tvb = self.tvb, limit = limit, pos = 0, payload_end = limit,
    h = self.h, start = self.start, parent = self.s.parent}, Scope)
  local r = setmetatable({h = self.h, tvb = self.tvb, start = self.start, limit_of_layer = limit, s = s, bit = first * 8, known = {}, taken = {}, entries = {},
    at = {}, ctx = {missing = 0, partial = false, faults = {}}}, Reader)
  local stop = first
  while stop < limit and #r.entries < most and r:field(f.element) do stop = floor(r.bit / 8) end
  return r.entries, stop, r.ctx.faults[1]
end

function Reader:none_of(f, e)  -- what is expected instead where bytes are not just values
  local _, _, fault = self:elements(f, e.first, e.first + e.len, math.huge)
  return fault and (fault.inner and fault.expected or f.element.listed)
end

function Reader:counted(f)  -- a number of them
  local pos, count, exact = floor(self.bit / 8), f.count(self.s)
  local found, stop = self:elements(f, pos, self:limit(), count)
  if #found < count then
    self:truncated_field(f.name, stop, count, #found, "values", exact)
    self.trusted = false
  end
  self.bit, self.s.v[f.name], self.s.len[f.name] = stop * 8, true, stop - pos
  self.entries[#self.entries + 1] = {f = f, first = pos, len = stop - pos}
  return true
end
