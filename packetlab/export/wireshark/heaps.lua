-- Bytes that lie elsewhere ------------------------------------------------------------------------------------
-- Items of a list whose bytes lie in another field of what holds them: `codec.places.heaps` in Lua. Each is shown with its item, at its place.

function Reader:lying(f, at, size)  -- what lies so many bytes after a place is the item's, and what stands inside it
  self.s.v[f.name], self.s.len[f.name], self.at[f.name] = true, size, at
  self.s.raw[f.name] = size > 0 and self.tvb:raw(at, size) or ""
  self.entries[#self.entries + 1] = {f = f, first = at, len = size}
end

local read_field, read_whole = Reader.field, read
function Reader:field(f) return f.far ~= nil or read_field(self, f) end  -- who reads what holds the item sees to that

function Reader:look_inside_late(ctx)  -- what stands in bytes that lie elsewhere
  local h, views, only, before = self.h, self.h.views, self.h.only, self.ctx
  h.views, h.only, self.ctx = h.late, nil, ctx
  self:look_inside()
  h.views, h.only, self.ctx = views, only, before
end

function Reader:hand_out(list, within)
  local e, e2
  for _, one in ipairs(self.entries) do
    if one.f.name == list then e = one elseif one.f.name == within then e2 = one end
  end
  if not e or not e.items then return end
  local start, first = self.start, e2 and e2.first or floor(self.bit / 8)
  local begin, stop = first - start, first - start + (e2 and e2.len or 0)
  local part = self.ctx.partial or (self.limit_of_layer == self.tvb:len() and self.ctx.missing > 0)
  for k, item in ipairs(e.items) do
    local f
    for _, one in ipairs(item.h.before) do f = one.far and one or f end
    if f then
      local at, whole = f.far.place(item.s)
      if f.far.apart then at, whole = at + begin, whole and W.add(whole, W.of(begin)) end
      local size, exact = f.far.size(item.s)
      local name = list .. (e.f.one and "" or "[" .. int(k - 1) .. "]") .. "." .. f.name
      local low = size > 0 and math.min(math.max(at, begin), stop) or begin
      local high = size > 0 and math.max(low, math.min(at + size, stop)) or low
      local fits = size >= 0 and (size == 0 or (at >= begin and at + size <= stop))
      item:lying(f, start + low, high - low)
      local faults = self.ctx.faults
      if not fits and not (part and at >= begin) then
        local last = exact and whole and W.add(whole, exact)
        faults[#faults + 1] = {where = self.h.name .. "." .. list, at = start + math.min(math.max(at, 0), stop), inner = true,
          expected = name .. " within " .. within .. ", bytes " .. int(begin) .. " to " .. int(stop) .. " of " .. self.h.name,
          got = "bytes " .. int(at, whole) .. " to " .. int(at + size, last)}
      elseif fits and item.h.late then
        local ctx = {missing = 0, partial = false, faults = {}, beyond = self.ctx.beyond}
        item:look_inside_late(ctx)
        for _, fault in ipairs(ctx.faults) do
          faults[#faults + 1] = {where = self.h.name .. "." .. list, at = fault.at, expected = fault.expected .. " in " .. name, got = fault.got, inner = true}
        end
      end
    end
  end
end

read = function(h, tvb, start, limit, ctx)
  local r = read_whole(h, tvb, start, limit, ctx)
  for _, one in ipairs(not r.handed_out and r.h.heaps or {}) do r:hand_out(one[1], one[2]) end
  r.handed_out = true
  return r
end
