-- Fields at offsets ------------------------------------------------------------------------------------------
-- A row of them is read as they lie, where that is in another order than that of declaration and none overlaps.

-- How many bytes a field takes at a place; nil where it cannot be read there.
function Reader:size_there(f, at)
  local size = f.size and f.size(self.s)
  if size and not f.written then return size >= 0 and size or nil end
  if f.bits and not f.coding and not f.written then return f.bits / 8 end
  if f.count and f.count(self.s) == 0 then return 0 end
  if at < self.start or at > self:limit() then return nil end
  local ctx, entries, faults, kept = self.ctx, #self.entries, #self.ctx.faults, {self.bit, self.stop, self.total, self.trusted, self.cut, self.short}
  local cut, partial, goes_on = ctx.cut, ctx.partial, ctx.goes_on
  self.bit = at * 8
  local whole = self:field(f)
  size = floor(self.bit / 8) - at
  for n = #ctx.faults, faults + 1, -1 do whole = whole and ctx.faults[n].inner; table.remove(ctx.faults) end
  while #self.entries > entries do table.remove(self.entries) end
  self.bit, self.stop, self.total, self.trusted, self.cut, self.short = kept[1], kept[2], kept[3], kept[4], kept[5], kept[6]
  ctx.cut, ctx.partial, ctx.goes_on, self.known[f.name] = cut, partial, goes_on, nil
  for _, of in ipairs({self.s.v, self.s.len, self.s.raw, self.s.items, self.s.held}) do of[f.name] = nil end
  return whole and size or nil
end

-- Read a row of (gap, field) as they lie; false where that is the order of declaration, or none that makes sense.
function Reader:scattered(row)
  local pos, found, placed, order, same = floor(self.bit / 8), {}, {}, {}, true
  for k, pair in ipairs(row) do
    local gap = self.h.by_name[pair[1]]
    local at = self:counted_from(gap) + gap.gap(self.s)
    local size = self:size_there(self.h.by_name[pair[2]], at)
    if not size then return false end
    found[k] = {at = at, size = size}
    if size > 0 then placed[#placed + 1], order[#order + 1] = k, k end
  end
  table.sort(order, function(one, other) return found[one].at < found[other].at end)
  for n, k in ipairs(order) do
    local one = found[k]
    same, one.gap = same and placed[n] == k, one.at - pos
    if one.gap < 0 then return false end
    pos = one.at + one.size
  end
  if same or pos > self:limit() then return false end
  for k, one in ipairs(found) do
    if one.size == 0 then order[#order + 1], one.at, one.gap = k, pos, 0 end
  end
  for _, k in ipairs(order) do
    local gap, f, at, size = self.h.by_name[row[k][1]], self.h.by_name[row[k][2]], found[k].at, found[k].gap
    self.entries[#self.entries + 1] = {f = gap, first = at - size, len = size}
    self.s.v[gap.name], self.s.len[gap.name], self.s.raw[gap.name] = true, size, size > 0 and self.tvb:raw(at - size, size) or ""
    self.at[gap.name], self.known[gap.name], self.bit = at - size, true, at * 8
    self:field(f)
    self.taken[gap.name], self.taken[f.name] = true, true
  end
  self.bit = pos * 8
  return true
end
