-- What stands inside -----------------------------------------------------------------------------------------
-- A field that is a header of its own where a condition holds (`inside=`): `codec.refinement.careful` in Lua. The field stays what it is.

local function read_lists(n, faults)  -- those that wait until they are shown; true where one ends in bytes that are no whole item
  local unread = false
  for _, e in ipairs(n.entries) do
    if e.f.kind == "items" then
      local stop, wrong = e.first + e.len, {}
      if not e.items then e.items, e.stop, wrong = read_items(n, e.f, e.first, stop, e.f.count and e.f.count(n.s), true) end
      for _, fault in ipairs(wrong) do faults[#faults + 1] = fault end
      unread = unread or (e.stop or stop) < stop
      for _, one in ipairs(e.items) do unread = read_lists(one, faults) or unread end
    end
  end
  return unread
end

function Reader:unfit(v, at, expected, got)
  self:fault(v.field, at, expected, got)
  self.ctx.faults[#self.ctx.faults].inner = not v.own
end

function Reader:is_what_it_says()  -- whether it is what it was read as
  local only = self.h.only
  if not only or only.holds(self.s) then return end
  local name, got = "", {}
  for _, one in ipairs(only.names) do
    if name == "" and self.at[one] then name = one end
    got[#got + 1] = one .. " = " .. decimal(self.h.by_name[one], self.s.v[one] == true and 0 or self.s.v[one] or 0)
  end
  self:fault(name, self.at[name] or 0, only.words, table.concat(got, ", "))
end

function Reader:look_inside()
  local s = self.s
  self:is_what_it_says()
  for _, v in ipairs(self.h.views) do
    if v.own or v.holds(s) then
      local e, last = nil, 0
      for _, one in ipairs(self.entries) do if one.f.name == v.field then e = one end end
      for _, at in pairs(self.at) do last = math.max(last, at) end
      if not e then return self:unfit(v, last, v.field .. " for " .. v.name, "none") end
      local tvb, first, at = self.tvb, e.first, 0
      if e.shifted then tvb, first, at = ByteArray.new(e.raw, true):tvb(self.h.name .. "." .. v.field), 0, e.first end
      local stop = first + (e.shifted and #e.raw or e.len)
      local ctx = {missing = 0, partial = false, faults = {}, parent = s, beyond = self.ctx.beyond}
      local one = read(declared[v.header], tvb, first, stop, ctx)
      local wrong = broken(ctx.faults) or one.pos ~= stop or ctx.partial or ctx.cut
      if not wrong and not read_lists(one, ctx.faults) then
        for _, fault in ipairs(ctx.faults) do self:unfit(v, at + fault.at, fault.expected .. " for " .. fault.where, fault.got) end
        e.inside, self.inside, one.holder = one, one, self
        return
      end
      for _, fault in ipairs(ctx.faults) do
        if not fault.inner or fault.last then return self:unfit(v, at + fault.at, fault.expected .. " for " .. fault.where, fault.got) end
      end
      return self:unfit(v, at + one.pos, int(one.pos - first) .. " bytes for " .. v.name, int(stop - first) .. " bytes")
    end
  end
end
