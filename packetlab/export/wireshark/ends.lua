-- Ends -------------------------------------------------------------------------------------------------------
-- Fields whose place is counted from an end: read before what goes on to it.

-- Read the fields that stand so many bytes before an end; give the first that would begin before `pos`.
function Reader:read_from_end(limit, pos)
  for _, f in ipairs(self.h.from_end) do
    if not f.when or f.when(self.s) then
      if limit - f.from_end < pos then return f end
      self.s.v[f.name] = self:entry(f, (limit - f.from_end) * 8).value
    end
  end
end

function Reader:forget_end()  -- what was read of an end that is not there
  for _, f in ipairs(self.h.from_end) do
    if not self.known[f.name] then self.s.v[f.name] = nil end
  end
end

-- Where the payload ends, by the size of what stands after it; where that is none, the payload has all bytes.
function Reader:before_end(pos)
  local s, limit, lost = self.s, self.limit_of_layer, true
  local missing
  if self.ctx.partial or (limit == self.tvb:len() and self.ctx.missing > 0) then
    self:truncated_field("", limit, 1, 0, "bytes after the payload, or more")
  else
    missing = self:read_from_end(limit, pos)
    if missing then
      self:truncated_field(missing.name, pos, missing.from_end, limit - pos)
    else
      local all, varies = self.h.behind(s), false
      lost = all > limit - pos
      for _, f in ipairs(self.h.after) do
        local size, exact = 0, nil
        if f.size and (not f.when or f.when(s)) then size, exact = f.size(s) end
        if size < 0 then
          self:fault(f.name, pos, "a size of 0 or more", int(size, exact))
          lost = true
        elseif size > 0 and all > limit - pos then
          self:fault(f.name, pos, int(size, exact) .. " bytes", int(math.max(0, limit - pos - all + size)))
        end
        varies = varies or f.size
      end
      if all > limit - pos and not varies then self:truncated_field("", pos, all, limit - pos, "bytes after the payload") end
      if not lost then return limit - all end
    end
  end
  self.lost, self.trusted = true, false
  self:forget_end()
  return limit
end
