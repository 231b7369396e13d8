-- Names ------------------------------------------------------------------------------------------------------
-- Labels of DNS, and pointers to where the rest of a name stands already (RFC 1035 section 4.1.4): `codec.places.names` in Lua.

local LABEL, NAME, SHOWN = 63, 255, 32  -- bytes at the most
local fine, frames = pcall(Field.new, "frame")
local messages = setmetatable({}, {__mode = "k"})  -- of a tvb: all bytes, how many of them stand before it, names that pointers led to

local function message_of(tvb)
  local m = messages[tvb]
  if not m then
    m = {all = tvb:raw(0, tvb:len()), before = 0, known = {}}
    local known, frame = pcall(function() return ({frames()})[1].range:raw() end)
    local before = tvb:offset()
    if fine and known and frame:sub(before + 1, before + #m.all) == m.all then m.all, m.before = frame:sub(1, before) .. m.all, before end
    messages[tvb] = m
  end
  return m
end

-- The labels at a byte of a text, with the zero or the pointer that ends them, and where the pointer leads to; or nil, what was expected, what there is.
local function part_at(all, at)
  local pos = at
  while pos < #all and pos - at < NAME do
    local size = all:byte(pos + 1)
    if size == 0 then return all:sub(at + 1, pos + 1) end
    if size > LABEL then
      if size < 192 then return nil, "a name where its pointer leads to, byte " .. int(at), string.format("a label of type 0x%02x", size - size % 64) end
      if pos + 2 > #all then return nil, "a whole pointer", "1 byte" end
      return all:sub(at + 1, pos), (size - 192) * 256 + all:byte(pos + 2)
    end
    pos = pos + size + 1
  end
  if pos - at >= NAME then return nil, "a name of up to " .. NAME .. " bytes", "more" end
  return nil, "a whole name where its pointer leads to", "the end"
end

-- The name at a byte, which has to stand before another one. Each place leads further back, and is looked at once.
local function followed(m, origin, target, before)
  local passed, found = {}, nil
  repeat
    local key = origin .. ":" .. target
    if target >= before then
      found = {expected = "a pointer to what stands before it", got = "one to byte " .. int(target - origin) .. ", from " .. int(before - origin)}
    else
      found = m.known[key] or target < 0 and {expected = "a whole name where its pointer leads to", got = "the end"} or nil
      if not found then
        local labels, further, got = part_at(m.all, target)
        if labels and further then
          passed[#passed + 1] = {key, labels}
          before, target = target, origin + further
        else
          found = labels and {name = labels} or {expected = further, got = got}
          m.known[key] = found
        end
      end
    end
  until found
  for i = #passed, 1, -1 do
    local name = found.name and passed[i][2] .. found.name
    if name then found = #name <= NAME and {name = name} or {expected = "a name of up to " .. NAME .. " bytes", got = #name .. " bytes"} end
    m.known[passed[i][1]] = found
  end
  return found
end

local function name_text(raw)  -- a whole name, as master files have it
  local parts, at = {}, 1
  while raw:byte(at) ~= 0 do
    local label = raw:sub(at + 1, at + raw:byte(at))
    parts[#parts + 1] = label:gsub("[^!-~]", function(c) return string.format("\0%03d", c:byte()) end):gsub("[\\.]", "\\%0"):gsub("\0", "\\")
    at = at + #label + 1
  end
  return #parts > 0 and table.concat(parts, ".") or "."
end

local function hex_text(raw, between)
  return raw:gsub(".", function(c) return string.format("%02x", c:byte()) .. between end):sub(1, #between > 0 and -2 or -1)
end

function Reader:name(f)  -- false where there is none
  local pos, limit = floor(self.bit / 8), self:limit()
  local m = message_of(self.tvb)
  local all, first, stop = m.all, m.before + pos, m.before + limit  -- bytes of the message before the name, and up to the limit
  local at = first
  local function here() return at < stop and all:byte(at + 1) or nil end
  while (here() or 0) > 0 and here() <= LABEL do at = at + here() + 1 end
  local size = here()
  if not size or (size > 0 and (size < 192 or at + 2 > stop)) then
    local strange = size and size < 192
    if not strange and (self.ctx.partial or (self.limit_of_layer == self.tvb:len() and self.ctx.missing > 0)) then
      self:truncated_field(f.name, pos, limit - pos + 1, limit - pos)
    else
      self:fault(f.name, pos, f.words, strange and string.format("a label of type 0x%02x", size - size % 64) or int(limit - pos) .. " bytes without its end")
    end
    return false
  end
  local written = all:sub(first + 1, at + (size > 0 and 2 or 1))
  local found = {name = written}
  if size > 0 then
    local origin = not f.alone and self.s:origin(f.origin)
    if f.alone then found = {expected = "a header around it that its pointer counts from", got = "none"}
    elseif origin then
      found = followed(m, origin + m.before, origin + m.before + (size - 192) * 256 + all:byte(at + 2), first)
      if found.name then found = {name = all:sub(first + 1, at) .. found.name} end
    else found = {expected = "a header " .. f.origin .. " around it, where its pointer begins to count", got = "none"} end
  end
  if found.name and #found.name > NAME then found = {expected = "a name of up to " .. NAME .. " bytes", got = #found.name .. " bytes"} end
  local e = {f = f, first = pos, len = #written, value = true, raw = found.name or written, text = found.name and name_text(found.name) or hex_text(written, "")}
  self.bit, self.s.v[f.name], self.s.len[f.name], self.entries[#self.entries + 1] = (pos + #written) * 8, true, #written, e
  local got = found.name and e.text or hex_text(written:sub(1, SHOWN), " ") .. (#written > SHOWN and " ..." or "") .. " (" .. found.got .. ")"
  if f.fixed and not is_fixed(e) then self:fault(f.name, pos, f.expected, got)
  elseif not found.name then
    self:fault(f.name, pos, found.expected, got)
    self.ctx.faults[#self.ctx.faults].inner = true  -- where it ends is known
  end
  return true
end
