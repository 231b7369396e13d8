
-- Carriers of XNS that have no number: UDP between two agreed ends, and the line of a NetHub (16 bits of length, then an
-- Ethernet frame, over TCP port 3333).

local IDP_NUMBER = @IDP@

local function is_idp(s)  -- a whole packet of a known type, with a right checksum or none
  local tvb, size = s.tvb, s.tvb:len()
  if size < 30 or tvb:reported_len() ~= size then return false end
  local length, kind, hops = tvb(2, 2):uint(), tvb(5, 1):uint(), tvb(4, 1):uint()
  if length < 30 or length + length % 2 ~= size or kind == 0 or kind > 5 or hops % 128 > 16 then return false end
  local sum = tvb(0, 2):uint()
  return sum == 65535 or sum == SUMS.xns(tvb:raw(2, size - 2))
end
guess("udp", IDP_NUMBER, true, {}, is_idp)
pcall(function() DissectorTable.get("udp.port"):add_for_decode_as(declared[IDP_NUMBER].proto) end)

local hub, hub_name = new_protocol("nethub", "Dodo NetHub line")
local hub_length = ProtoField.uint16(hub_name .. ".length", "length", base.DEC)
hub.fields = {hub_length}
hub.dissector = function(tvb, pinfo, tree)
  local function frame(piece, info, parent)
    local item = parent:add(hub, piece(0, math.min(2, piece:len())))
    if piece:len() < 2 then return piece:len() end
    item:add(hub_length, piece(0, 2))
    info.cols.protocol = "NetHub"
    if piece:len() > 2 then hand_on({dissector = "eth_withoutfcs"}, piece(2, piece:len() - 2):tvb(), info, parent) end
    return piece:len()
  end
  dissect_tcp_pdus(tvb, tree, 2, function(piece, _, offset) return piece(offset, 2):uint() + 2 end, frame)
  return tvb:len()
end
DissectorTable.get("tcp.port"):add(3333, hub)
