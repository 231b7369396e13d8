-- Showing ----------------------------------------------------------------------------------------------------

local VERDICTS = {[0] = "Bad", "Good", "Unverified", "Not present", "Illegal"}

local function is_taken(name, h)  -- by a dissector of Wireshark's, or one of its fields that is called as one here
  local known, there = pcall(Dissector.get, name)
  if known and there then return true end
  for _, group in ipairs(h and {h.before, h.after} or {}) do
    for _, f in ipairs(group) do
      if pcall(Field.new, name .. "." .. f.abbr) then return true end
    end
  end
end

local function new_protocol(name, text, h)  -- a name that Wireshark has already gets another in front
  for _, prefix in ipairs({"", "packetlab_", "packetlab2_", "packetlab3_", "packetlab4_"}) do
    if not is_taken(prefix .. name, h) then
      local made, proto = pcall(Proto, prefix .. name, text .. " [" .. prefix .. name .. "]")
      if made then return proto, prefix .. name end
    end
  end
  error("packetlab: the name " .. name .. " is taken; is this file loaded twice?")
end

local function number_field(f, abbr, name)
  if not f.view then return ProtoField[f.type](abbr, name, base[f.base], f.values, f.unit and f.mask or nil) end
  if f.view.form == "absolute_time" then return ProtoField.absolute_time(abbr, name, base.UTC) end
  return ProtoField[f.view.form](abbr, name)
end

local register
register = function(h)
  if h.proto then return end
  local holder = h.of and declared[h.of]  -- which takes a field apart: what stands in there has its name
  if holder then register(holder) end
  local proto, prefix
  if holder then proto, prefix = holder.proto, holder.prefix else proto, prefix = new_protocol(h.abbr, h.title, h) end
  h.proto, h.prefix, h.by_name, h.from_end = proto, prefix, {}, {}
  local list = {}
  local function add(key, field) list[key] = field return field end
  for _, group in ipairs({h.before, h.after}) do
    for _, f in ipairs(group) do
      local abbr = prefix .. "." .. f.abbr
      h.by_name[f.name] = f
      f.owner = h.name
      if f.from_end then h.from_end[#h.from_end + 1] = f end
      if f.kind == "int" then
        f.shown = add(f.abbr, number_field(f, abbr, f.name))
        if f.sum then
          f.status = add(f.abbr .. ".status", ProtoField.uint8(abbr .. ".status", f.name .. " status", base.DEC, VERDICTS))
        end
        for _, flag in ipairs(f.flags or {}) do
          if flag.mask then
            flag.shown = add(f.abbr .. "." .. flag.abbr,
              ProtoField.bool(abbr .. "." .. flag.abbr, flag.name, f.unit and f.unit * 8 or math.ceil(f.bits / 8) * 8, nil, flag.mask))
          end
        end
      elseif f.kind == "items" then
        f.shown = add(f.abbr, ProtoField.none(abbr, f.name))
      elseif f.kind == "xns" then
        f.shown = add(f.abbr, ProtoField.string(abbr, f.name))
        f.parts = {
          add(f.abbr .. ".net", ProtoField.uint32(abbr .. ".net", f.name .. " network", base.HEX)),
          add(f.abbr .. ".host", ProtoField.ether(abbr .. ".host", f.name .. " host")),
          add(f.abbr .. ".socket", ProtoField.uint16(abbr .. ".socket", f.name .. " socket", base.HEX)),
        }
      else
        f.shown = add(f.abbr, ProtoField[f.form or f.kind](abbr, f.name))
        if f.form == "uint64" then f.as_raw = add(f.abbr .. ".raw", ProtoField.bytes(abbr .. ".raw", f.name)) end
        local each, name = f.element or f.single and f.single.kind and f.single, abbr .. ".value"
        if f.each then f.each.shown = add(f.abbr .. ".value", f.each.view and number_field(f.each, name, f.name) or ProtoField[f.each.form](name, f.name)) end
        if each then each.shown = add(f.abbr .. ".value", each.kind == "int" and number_field(each, name, f.name) or ProtoField[each.form or each.kind](name, f.name)) end
        if each and each.form == "uint64" then each.as_raw = add(f.abbr .. ".value.raw", ProtoField.bytes(name .. ".raw", f.name)) end
      end
    end
  end
  proto.fields = list
  if holder then
    h.fault, h.cut_off, h.bad_sum = holder.fault, holder.cut_off, holder.bad_sum
    return
  end
  h.fault = ProtoExpert.new(prefix .. ".fault", "Does not fit its declaration", expert.group.MALFORMED, expert.severity.ERROR)
  h.cut_off = ProtoExpert.new(prefix .. ".cut", "Cut by the capture", expert.group.PROTOCOL, expert.severity.NOTE)
  h.bad_sum = ProtoExpert.new(prefix .. ".bad_checksum", "Bad checksum", expert.group.CHECKSUM, expert.severity.ERROR)
  proto.experts = {h.fault, h.cut_off, h.bad_sum}
end

local function xns_text(raw)  -- as ns_ntoa(3) prints it
  local parts = {}
  for _, piece in ipairs({raw:sub(1, 4), raw:sub(5, 10), raw:sub(11, 12)}) do
    local digits = piece:gsub(".", function(c) return string.format("%02X", c:byte()) end):gsub("^0+(%x)", "%1")
    if digits ~= "0" and not digits:find("%u") then digits = digits .. "H" end
    parts[#parts + 1] = digits
  end
  while #parts > 1 and parts[#parts] == "0" do parts[#parts] = nil end
  return table.concat(parts, ".")
end

local show, label_of

local function called(n)  -- the name of what it is
  return n.inside and called(n.inside) or n.h.name
end

-- The user's form of a number: of a float its bits taken apart, else so many steps of p / q from an origin.
local function viewed(f, e)
  local v = f.view
  if v.float then
    local exponents, fraction = ({[16] = 5, [32] = 8, [64] = 11})[v.float], ({[16] = 10, [32] = 23, [64] = 52})[v.float]
    local top = v.float == 64 and e.high or e.low  -- what holds the sign
    local width = v.float == 64 and 32 or v.float
    local sign = top >= 2 ^ (width - 1) and -1 or 1
    top = top % 2 ^ (width - 1)
    local shift = 2 ^ (width - 1 - exponents)
    local exponent, part = floor(top / shift), top % shift
    if v.float == 64 then part = part * 2 ^ 32 + e.low end
    local most, bias = 2 ^ exponents - 1, 2 ^ (exponents - 1) - 1
    if exponent == most then return part == 0 and sign / 0 or 0 / 0 end
    if exponent == 0 then return sign * part * 2 ^ (1 - bias - fraction) end
    return sign * (1 + part / 2 ^ fraction) * 2 ^ (exponent - bias)
  end
  if v.form == "double" then return as_number(e.value) * v.p / v.q + v.origin end
  local whole = W.mul(type(e.value) == "table" and e.value or W.of(e.value), W.of(v.p))
  local negative = v.form == "relative_time" and W.negative(whole)  -- both parts of such a time have its sign
  if negative then whole = W.sub(W.ZERO, whole) end
  local seconds = W.fdiv(whole, W.of(v.q))
  local rest = W.number(W.sub(whole, W.mul(seconds, W.of(v.q))))  -- parts of a second, so many in it as q says
  local at = W.number(seconds) + v.origin
  if v.since and (at < v.since or at == v.since and rest < v.since_rest) then
    at, rest = at + v.era, rest + v.era_rest
    if rest >= v.q then at, rest = at + 1, rest - v.q end
  end
  at, rest = math.max(-2 ^ 62, math.min(at, 2 ^ 62)), math.min(floor(rest * 1e9 / v.q + 0.5), 999999999)
  return negative and NSTime.new(-at, -rest) or NSTime.new(at, rest)
end

local function show_number(tree, n, e)
  local f, value = e.f, e.value
  local range = e.range or n.tvb(e.first, e.len)
  local in_unit = f.unit and n.tvb(e.unit, f.unit)
  if f.view then
    local item = tree:add(f.shown, in_unit or range, viewed(f, e))
    if f.view.unit then item:append_text(f.view.unit) end
    return item
  end
  if in_unit then
    range, value = in_unit, f.low and in_unit:le_uint() or in_unit:uint()
  elseif f.type == "uint64" then
    value = UInt64.new(e.low, e.high)
  elseif f.type == "int64" then
    local top = f.bits > 32 and 2 ^ (f.bits - 32) or 0
    local high, low = e.high, e.low
    if f.bits > 32 and high >= top / 2 then high = high - top end
    value = Int64.new(low, high % 2 ^ 32)
  end
  local item = tree:add(f.shown, range, value)
  local name = (f.flags or not f.values) and names_of(f, as_number(e.value))
  if name then item:append_text(" (" .. name .. ")") end
  for _, flag in ipairs(f.flags or {}) do
    if flag.shown then item:add(flag.shown, range, value) end
  end
  return item
end

local LONGEST = 120  -- letters of an item's line
local VALUES = 1000  -- of a field that has a line each

-- Say in an item's own line what is in its fields, as their lines say it.
local function in_a_line(layer, items)
  local said = {}
  for _, item in ipairs(items) do
    local text = item.text
    if text and text ~= "" then said[#said + 1] = text end
  end
  local line = table.concat(said, ", ")
  if #line > LONGEST then line = line:sub(1, LONGEST):gsub("[\192-\255]?[\128-\191]*$", "") .. "..." end
  if line ~= "" then layer:append_text(": " .. line) end
end

local function show_each(tree, range, e)  -- values side by side, one by one
  local each = e.f.each
  for at = 0, math.min(range:len(), VALUES * each.size) - each.size, each.size do
    if each.little then tree:add_le(each.shown, range(at, each.size)) else tree:add(each.shown, range(at, each.size)) end
  end
end

local function show_items(tree, layers, i, e, ctx, below)
  local n, stack = layers[i], {}
  for j = 1, i do stack[j] = layers[j] end
  stack.held = layers.held or i
  local item = tree:add(e.f.shown, n.tvb(e.first, e.len))
  local items, pos, faults = e.items, e.stop or e.first + e.len, {}
  if not items then items, pos, faults = read_items(n, e.f, e.first, e.first + e.len, nil, true) end
  for _, one in ipairs(items) do  -- what stands around it may be in its checksums
    stack[i + 1] = one
    local layer, lines = show(stack, i + 1, item, ctx, below)
    local fine, label = pcall(label_of, one)
    if one.inside then layer:append_text(" " .. called(one)) end
    if fine and label ~= "" then layer:append_text(" " .. label) end
    in_a_line(layer, lines)
  end
  if pos < e.first + e.len then item:add(n.tvb(pos, e.first + e.len - pos), "No whole item") end
  if not e.f.one then item:append_text(": " .. #items) end
  return item, faults
end

local function show_inside(tree, layers, i, e, ctx, below)  -- what stands in a field, under the field
  local stack = {}
  for j = 1, i do stack[j] = layers[j] end
  stack.held = layers.held or i
  stack[i + 1] = e.inside
  local layer, lines = show(stack, i + 1, tree, ctx, below)
  in_a_line(layer, lines)
  return lines
end

local function range_of(n, e) return e.range or e.shifted and n:shifted_range(e) or n.tvb(e.first, e.len) end

local function utf8_of(code)
  if code < 128 then return string.char(code) end
  local bytes, first = "", 64
  repeat
    bytes, code, first = string.char(128 + code % 64) .. bytes, floor(code / 64), first / 2
  until code < first
  return string.char(256 - 2 * first + code) .. bytes
end

-- Text as UTF-8: what TvbRange:string() makes of it is cut to as many bytes as the range has.
local function in_utf8(raw, units, swapped)
  local codes, high = {}, nil
  for at = 1, #raw, units do
    local unit, code = raw:sub(at, at + units - 1), 0
    if swapped then unit = unit:reverse() end
    for i = 1, #unit do code = code * 256 + unit:byte(i) end
    if high and code >= 0xdc00 and code < 0xe000 then codes[#codes], code = nil, 0x10000 + (high - 0xd800) * 1024 + code - 0xdc00 end
    high = units == 2 and code >= 0xd800 and code < 0xdc00 and code or nil
    codes[#codes + 1] = #unit == units and (code < 0xd800 or code > 0xdfff) and code < 0x110000 and utf8_of(code) or "\239\191\189"
  end
  return table.concat(codes)
end

local function text_of(e, range)  -- without what fills it up
  if e.text then return e.text end
  if e.f.judge and e.f.judge.form == "digits" then
    local digits = range:len() > 0 and half_bytes(e.f.judge, range:raw()) or ""
    return e.f.number and not digits:find("%a") and digits:gsub("^0+(.)", "%1") or digits
  end
  local len, pad = range:len(), e.f.filled  -- of bytes at any bit fewer than those that they touch
  if pad then
    local raw = len > 0 and range:raw() or ""
    while len > 0 and raw:sub(len - #pad + 1, len) == pad do len = len - #pad end
  end
  local at = e.f.spaced and len > 0 and #range:raw():match("^[ \t]*") or 0
  if e.f.spaced then len = #e.raw end
  if len == 0 then return "" end
  return e.f.units and in_utf8(range(at, len):raw(), e.f.units, e.f.swapped) or range(at, len):string(e.f.encoding)
end

local function show_packed(tree, range, f)  -- digits as their number, which bytes that are no digits have not
  local raw = range:raw()
  local high, low = in_halves(f, raw)
  local bytes = tree:add(f.as_raw, range)
  if not high then return bytes end
  bytes:set_hidden()
  local name = names_of(f, high * 2 ^ 32 + low)
  local item = tree:add(f.shown, range, UInt64.new(low, high))
  if name then item:append_text(" (" .. name .. ")") end
  return item
end

local function show_bytes(tree, n, e)
  local f, range = e.f, range_of(n, e)
  if f.as_raw then return show_packed(tree, range, f) end
  if f.form == "string" then return tree:add(f.shown, range, text_of(e, range)) end
  if f.swapped then return tree:add_le(f.shown, range) end
  local item = tree:add(f.shown, range)
  if f.encoded then item:append_text(f.encoded) end
  return item
end

local function show_elements(tree, n, e)
  for _, one in ipairs((n:elements(e.f, e.first, e.first + e.len, VALUES))) do
    if one.f.kind == "int" then show_number(tree, n, one) else show_bytes(tree, n, one) end
  end
end

local function show_singles(tree, n, e)  -- values of a fixed size that are more than numbers and addresses
  local one, size, range = e.f.single, e.f.whole, range_of(n, e)
  for at = 0, math.min(range:len(), VALUES * size) - size, size do
    local part = range(at, size)
    if one.kind == "int" then show_number(tree, n, n:entry(one, 0, part)) else show_bytes(tree, n, {f = one, range = part}) end
  end
end

-- Show layer i; its faults are marked on it.
show = function(layers, i, tree, ctx, below)
  local n = layers[i]
  local h, said = n.h, {}
  local last = math.min(n.outer, n.tvb:len())
  if #h.after == 0 then last = n.pos end
  local layer = tree:add(h.proto, n.tvb(n.start, math.max(0, last - n.start)))
  local function note(fault)
    local text = fault.where .. ": expected " .. fault.expected .. " at offset " .. int(fault.at + n.tvb:offset())
      .. ", got " .. fault.got .. (fault.cut and ", cut by the capture" or "")
    if not said[text] then layer:add_proto_expert_info(fault.cut and h.cut_off or h.fault, text) end
    said[text] = true
  end
  for _, fault in ipairs(n.faults or {}) do note(fault) end
  local lines = {}
  for _, e in ipairs(n.entries) do
    local f, item = e.f, nil
    if f.kind == "int" then
      item = show_number(layer, n, e)
      if f.sum then
        local what, right, high = verdict(layers, i, e, ctx, below)
        local should = what == BAD and ", should be 0x" .. (high and high > 0 and string.format("%x%08x", high, right)
          or string.format("%x", right)) or ""
        item:append_text(" [" .. VERDICTS[what]:lower() .. should .. "]")
        layer:add(f.status, n.tvb(e.first, e.len), what):set_generated()
        if what == BAD then item:add_proto_expert_info(h.bad_sum, h.name .. "." .. f.name .. ": bad checksum") end
      end
    elseif f.kind == "items" then
      local faults
      item, faults = show_items(layer, layers, i, e, ctx, below)
      for _, fault in ipairs((ctx.cut or ctx.missing > 0) and {} or faults) do note(fault) end
    elseif f.kind == "xns" then
      local range = range_of(n, e)
      item = layer:add(f.shown, range, xns_text(e.raw))
      for i, part in ipairs({range(0, 4), range(4, 6), range(10, 2)}) do item:add(f.parts[i], part) end
    else
      item = show_bytes(layer, n, e)
      if f.element then show_elements(item, n, e) end
      if e.len == 0 then item:set_text(f.name .. ": empty")
      elseif f.each and e.count then n:show_values(item, e, VALUES, show_number)
      elseif f.each then show_each(item, range_of(n, e), e)
      elseif f.single and f.single.shown then show_singles(item, n, e) end
    end
    lines[#lines + 1] = item
    if e.inside then
      for _, line in ipairs(show_inside(item, layers, i, e, ctx, below)) do lines[#lines + 1] = line end
    end
  end
  return layer, lines
end

-- Labels -----------------------------------------------------------------------------------------------------

local ADDRESS = {ether = "ether", ipv4 = "ipv4", ipv6 = "ipv6"}

local function said_of(n, e, form)  -- the value of a field as a label has it
  local f = e.f
  if f.kind == "int" then
    local shown = f.view and viewed(f, e)
    if shown then return (type(shown) == "number" and string.format("%.15g", shown) or tostring(shown)) .. (f.view.unit or "") end
    local value = as_number(e.value)
    if form then return string.format(form, value) end
    return names_of(f, value) or int(value)
  elseif f.kind == "items" then return "" end
  local range = range_of(n, e)
  if f.kind == "xns" then return xns_text(e.raw) end
  if ADDRESS[f.kind] then return tostring(range[ADDRESS[f.kind]](range)) end
  if f.form == "string" then return text_of(e, range) end
  if f.as_raw then
    local high, low = in_halves(f, range:raw())
    if not (high or form) then return "raw(" .. bytes_text(range:raw()) .. ")" end
    local value = (high or 0) * 2 ^ 32 + (low or 0)
    return form and string.format(form, value) or names_of(f, value) or half_bytes(f.judge, range:raw())
  end
  local raw = e.len > 0 and range:raw() or ""
  return raw:find("[^\032-\126]") and tostring(range:bytes()):lower() or raw
end

label_of = function(n)  -- what a header is, in one line; "" where it has no label
  local parts = {}
  if n.inside then return label_of(n.inside) end
  for _, part in ipairs(n.h.label or {}) do
    parts[#parts + 1] = part[1]
    local one = n
    while one do
      for _, e in ipairs(one.entries) do
        if e.f.name == part[2] then parts[#parts + 1] = said_of(one, e, part[3]) end
      end
      one = one.holder
    end
  end
  local line = table.concat(parts):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  -- Nothing that a terminal would act on: controls, and what turns the direction of writing.
  for _, some in ipairs({"%c", "\194[\128-\159]", "\226\128[\142\143\168-\174]", "\226\129[\166-\169]"}) do
    line = line:gsub(some, function(found) return (found:gsub(".", function(c) return string.format("\\x%02x", c:byte()) end)) end)
  end
  return line
end

-- Dissecting -------------------------------------------------------------------------------------------------

local depth = 0  -- dissectors of Wireshark's that were called from here and may come back
local outside = {partial = false, whole = true}  -- what is known of the layers that they stand in

local function hand_on(upper, tvb, pinfo, tree)  -- to Wireshark; what it makes of a bad packet it shows itself
  if depth < 20 then
    depth = depth + 1
    local called, taken
    if upper.dissector then
      local known, dissector = pcall(Dissector.get, upper.dissector)
      if known and dissector then called, taken = pcall(function() return dissector:call(tvb, pinfo, tree) end), true end
    else
      for _, name in ipairs(upper.tables) do
        local known, numbers = pcall(DissectorTable.get, name)
        if known and not taken then
          local fine, size = pcall(function() return numbers:try(upper.number, tvb, pinfo, tree) end)
          taken = not fine or (size or 0) > 0
        end
      end
    end
    depth = depth - 1
    if taken then return end
  end
  Dissector.get("data"):call(tvb, pinfo, tree)
end

-- A frame of a link that is none, or in a form that this script cannot undo.
local function show_frame(h, tvb, pinfo, tree, wrong)
  local layer = tree:add(h.proto, tvb())
  if wrong then
    layer:add_proto_expert_info(h.fault, wrong.where .. ": expected " .. wrong.expected .. " at offset " .. wrong.at .. ", got " .. wrong.got)
  else
    layer:append_text(", in bytes of another form")
  end
  pinfo.cols.protocol = h.name
  Dissector.get("data"):call(tvb, pinfo, tree)
  return tvb:len()
end

-- Go from header to header as long as one follows; `below`: what is known of the layers that Wireshark dissected.
local function dissect(first, tvb, pinfo, tree, below)
  local ctx = {missing = math.max(0, tvb:reported_len() - tvb:len()), partial = below.partial, faults = {}, beyond = outside.scope}
  local frame = tvb
  if declared[first].through then
    local wrong
    tvb, wrong = Reader.off_link(declared[first], frame)
    if not tvb then return show_frame(declared[first], frame, pinfo, tree, wrong) end
  end
  below.source, below.destination = tostring(pinfo.net_src), tostring(pinfo.net_dst)
  local layers, names, titles, idle, start, limit, next = {}, {}, {}, 0, 0, tvb:len(), first
  local rest
  while next do
    local h = declared[next]
    ctx.faults = {}
    local n = read(h, tvb, start, limit, ctx)
    n.faults = ctx.faults
    if n.pos == start and n.upper then
      idle = idle + 1
      if idle > 8 then  -- headers of no bytes that lead to each other would go on for ever
        n.faults[#n.faults + 1] = {where = h.name, at = start, expected = "headers that take bytes", got = idle .. " that take none"}
        n.upper = nil
      end
    end
    ctx.parent = n.s
    h = n.h
    layers[#layers + 1], names[#names + 1] = n, called(n)
    local fine, label = pcall(label_of, n)
    titles[#titles + 1] = fine and label ~= "" and called(n) .. " " .. label or called(n)
    if n.outer < limit then n.gap = {n.outer, limit - n.outer} end
    start, limit, next, rest = n.pos, n.payload_end, nil, nil
    if type(n.upper) == "number" then next = n.upper else rest = n.upper end
  end
  local reported = below.partial  -- where the bytes end too early is reported once, at the layer that finds it
  for _, n in ipairs(layers) do
    for _, fault in ipairs(n.faults) do reported = reported or fault.cut end
  end
  if ctx.missing > 0 and not reported then
    local n = layers[#layers]
    n.faults[#n.faults + 1] = {where = n.h.name, at = tvb:len(), expected = int(ctx.missing) .. " bytes more", got = "the end", cut = true}
  end
  pinfo.cols.protocol = names[#names]
  pinfo.cols.info = table.concat(titles, "/")
  for i, n in ipairs(layers) do
    show(layers, i, tree, ctx, below)
    if n.gap then tree:add(tvb(n.gap[1], n.gap[2]), "After " .. n.h.name .. ": " .. n.gap[2] .. " bytes") end
  end
  if start < limit then
    local before = outside
    outside = {partial = ctx.partial, whole = is_whole(layers, #layers, ctx, below), scope = ctx.parent}
    hand_on(rest or {tables = {}}, tvb(start, limit - start):tvb(), pinfo, tree)
    outside = before
  end
  return frame:len()
end

-- Where the dissectors stand ----------------------------------------------------------------------------------

local function last_of(name)  -- a function for the last place of a field of Wireshark's, nil where there is none
  local known, field = pcall(Field.new, name)
  return function()
    local all = known and {field()} or {}
    return all[#all]
  end
end

local function extractor(names)  -- a function for the last value of a field of Wireshark's, or of several; 0 where there is none
  local found = {}
  for name in names:gmatch("%S+") do found[#found + 1] = last_of(name) end
  return function()
    local info
    for _, last in ipairs(found) do
      local one = last()
      if one and (not info or one.offset > info.offset) then info = one end
    end
    local fine, value = pcall(function() return info.value end)
    return fine and (value == true and 1 or tonumber(tostring(value))) or 0
  end
end

-- Lengths that layers below state, and where what they speak of starts, counted from the field.
local STATED = {
  {last = last_of("eth.len"), from = 2}, {last = last_of("ip.len"), from = -2}, {last = last_of("ipv6.plen"), from = 36},
  {last = last_of("udp.length"), from = -4}, {last = last_of("vlan.len"), from = 2}, {last = last_of("pppoe.payload_length"), from = 2},
}
local REASSEMBLED = {last_of("ip.reassembled.length"), last_of("ipv6.reassembled.length")}

local function is_short(tvb)  -- whether a layer below speaks of more bytes than there are
  for _, last in ipairs(REASSEMBLED) do
    if last() then return false end
  end
  for _, one in ipairs(STATED) do
    local info = one.last()
    if info and info.offset + one.from + (tonumber(tostring(info.value)) or 0) > tvb:offset() + tvb:len() then return true end
  end
  return false
end

local function below_of(pinfo, tvb, has_length)
  local known, quoted = pcall(function() return pinfo.in_error_pkt end)
  local cut = tvb:reported_len() > tvb:len()
  local short = is_short(tvb)
  local partial = outside.partial or pinfo.fragmented or (known and quoted) or short
  partial = partial or (has_length and cut)
  return {partial = partial, whole = outside.whole and not partial, said = has_length}
end

local function scope_of(getters, tvb, pinfo)  -- what a condition sees of a header that Wireshark dissected
  local values = setmetatable({}, {__index = function(_, name) return getters[name] and getters[name](pinfo) end})
  return setmetatable({v = values, len = {}, raw = {}, items = {}, held = {}, tvb = tvb, limit = tvb:len(), pos = 0, payload_end = tvb:len()}, Scope)
end

-- Streams -----------------------------------------------------------------------------------------------------

local function fits(h, faults)  -- whether what was read may be a message: a field that ends where numbers say may be wrong inside (`messages._fits`)
  for _, fault in ipairs(faults) do
    local f = h.by_name[fault.where:match("%.(.*)$")]
    if not fault.cut and not (fault.inner and f and not f.ended) then return false end
  end
  return true
end

-- Try to read a message that begins at a byte: how many bytes it has, 0 where that is not known yet, nil where none begins there.
local function size_of_message(h, tvb, at)
  local ctx = {missing = 0, partial = true, faults = {}, beyond = outside.scope}
  local n = read(h, tvb, at, tvb:len(), ctx)
  if not fits(n.h, ctx.faults) then return nil end
  if not ctx.cut then return ctx.goes_on and n.outer == tvb:len() and 0 or n.outer - at end  -- a list may go on in the next segment
  local function size_by(said)
    for name in pairs(said and said.needs or {}) do
      if not n.known[name] then return nil end
    end
    return said and said.rule(n.s)
  end
  local size = size_by(h.total)
  if not size and h.bare then
    size = size_by(h.stop)
  elseif not size and h.payload and n.head_size then
    size = n.head_size + h.payload.rule(n.s) + h.tail
  end
  if size and size <= tvb:len() - at then return nil end  -- not the end of the bytes cut it
  return size or 0
end

-- Messages of a stream: Wireshark puts their segments together.
local function streamed(number, tvb, pinfo, tree)
  local h = declared[number]
  if size_of_message(h, tvb, 0) == nil then return 0 end  -- the middle of one
  local known, quoted = pcall(function() return pinfo.in_error_pkt end)
  local partial = outside.partial or (known and quoted) or false
  local function size(all, info, at)
    local found = size_of_message(h, all, at)
    if found == 0 and info.can_desegment == 0 then found = nil end  -- no more will come
    return found or all:reported_len() - at
  end
  local function message(one, info, branch)
    if size_of_message(h, one, 0) == nil then
      Dissector.get("data"):call(one, info, branch)
      return one:len()
    end
    return dissect(number, one, info, branch, {partial = partial, whole = outside.whole and not partial, said = false})
  end
  dissect_tcp_pdus(tvb, tree, math.max(1, h.least), size, message)
  return tvb:len()
end

local function enter(number, table, tvb, pinfo, tree, has_length)
  if declared[number].stream and table:sub(1, 3) == "tcp" then return streamed(number, tvb, pinfo, tree) end
  return dissect(number, tvb, pinfo, tree, below_of(pinfo, tvb, has_length))
end

local function entrance(name, places, has_length)
  return function(tvb, pinfo, tree)
    if tvb:len() == 0 then return 0 end
    for _, place in ipairs(places) do
      local here = pinfo.match_uint == place.number
      if place.port then here = here and pinfo[place.port] == place.number end
      if here and place.holds then here = place.holds(scope_of(place.getters, tvb, pinfo)) end
      if here then return enter(place.header, name, tvb, pinfo, tree, has_length) end
    end
    return 0
  end
end

-- In a table of Wireshark's: one header gives its own protocol, several that share numbers one for the table.
local kept = {}  -- what Lua would collect otherwise

local function put(name, has_length, own, places)
  local known, numbers = pcall(DissectorTable.get, name)
  if not known or not numbers then return end
  local proto = own and declared[own].proto or new_protocol("packetlab_" .. name:gsub("%W", "_"), "Declared under " .. name)
  kept[#kept + 1] = proto
  proto.dissector = entrance(name, places, has_length)
  for _, place in ipairs(places) do numbers:add(place.number, proto) end
end

local function alone(number)  -- for Decode As, and for link types
  local proto = declared[number].proto
  proto.dissector = function(tvb, pinfo, tree)
    if tvb:len() == 0 then return 0 end
    return dissect(number, tvb, pinfo, tree, below_of(pinfo, tvb, false))
  end
  return proto
end

local function guess(name, number, has_length, getters, holds)  -- by what the bytes are
  pcall(function()
    declared[number].proto:register_heuristic(name, function(tvb, pinfo, tree)
      if tvb:len() == 0 or not holds(scope_of(getters, tvb, pinfo)) then return false end
      return enter(number, name, tvb, pinfo, tree, has_length) > 0
    end)
  end)
end
