-- Whole numbers ----------------------------------------------------------------------------------------------
-- N: numbers that a double holds exactly. W: 192 bits in two's complement, eight limbs of 24 bits, lowest first.

local floor = math.floor
local function truth(condition) return condition and 1 or 0 end

local N, W = {}, {}
local LIMBS, LIMB, HALF = 8, 2 ^ 24, 2 ^ 27

function N.fdiv(a, b)
  if b == 0 then return 0 end
  local q = floor(a / b)
  local r = a - q * b  -- the quotient was rounded once too often for large numbers
  if (b > 0 and r < 0) or (b < 0 and r > 0) then q = q - 1 elseif math.abs(r) >= math.abs(b) then q = q + 1 end
  return q
end
function N.shl(a, k) return k < 0 and 0 or a * 2 ^ k end
function N.shr(a, k) return k < 0 and 0 or floor(a / 2 ^ k) end

for name, operation in pairs({band = bit.band, bor = bit.bor, bxor = bit.bxor}) do
  N[name] = function(a, b)
    local low = operation(a % HALF, b % HALF)  -- the library takes 32 bits at a time
    return operation(floor(a / HALF), floor(b / HALF)) * HALF + low
  end
  W[name] = function(a, b)
    local r = {}
    for i = 1, LIMBS do r[i] = operation(a[i], b[i]) end
    return r
  end
end

local function settled(r)  -- carries, and borrows, go up; what leaves the top is lost
  local carry = 0
  for i = 1, LIMBS do
    local whole = r[i] + carry
    carry = floor(whole / LIMB)
    r[i] = whole - carry * LIMB
  end
  return r
end

function W.of(n) return settled({n, 0, 0, 0, 0, 0, 0, 0}) end
-- high may be negative
function W.pair(high, low)
  local first = low % LIMB
  return settled({first, floor(low / LIMB) + high * 256, 0, 0, 0, 0, 0, 0})
end
function W.of_bytes(raw, signed)  -- the highest first
  local fill = signed and #raw > 0 and raw:byte(1) >= 128 and 255 or 0
  local r = {0, 0, 0, 0, 0, 0, 0, 0}
  for i = 0, 3 * LIMBS - 1 do
    local limb = floor(i / 3) + 1
    r[limb] = r[limb] + (i < #raw and raw:byte(#raw - i) or fill) * 256 ^ (i % 3)
  end
  return r
end
W.ZERO = W.of(0)
function W.negative(a) return a[LIMBS] >= LIMB / 2 end
function W.is_zero(a)
  for i = 1, LIMBS do if a[i] ~= 0 then return false end end
  return true
end
function W.number(a)
  local n = W.negative(a) and a[LIMBS] - LIMB or a[LIMBS]
  for i = LIMBS - 1, 1, -1 do n = n * LIMB + a[i] end
  return n
end
function W.add(a, b)
  local r = {}
  for i = 1, LIMBS do r[i] = a[i] + b[i] end
  return settled(r)
end
function W.sub(a, b)
  local r = {}
  for i = 1, LIMBS do r[i] = a[i] - b[i] end
  return settled(r)
end
function W.mul(a, b)
  local r = {0, 0, 0, 0, 0, 0, 0, 0}
  for i = 1, LIMBS do
    for j = 1, LIMBS + 1 - i do
      r[i + j - 1] = r[i + j - 1] + a[i] * b[j]
    end
  end
  return settled(r)
end
function W.compare(a, b)
  if W.negative(a) ~= W.negative(b) then return W.negative(a) and -1 or 1 end
  for i = LIMBS, 1, -1 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  return 0
end
function W.shl(a, k)
  if k < 0 or k >= 24 * LIMBS then return W.of(0) end
  local r, places, factor = {}, floor(k / 24), 2 ^ (k % 24)
  for i = 1, LIMBS do r[i] = (a[i - places] or 0) * factor end
  return settled(r)
end
function W.shr(a, k)
  local fill = W.negative(a) and LIMB - 1 or 0
  if k < 0 then return W.of(0) end
  if k >= 24 * LIMBS then return W.of(fill == 0 and 0 or -1) end
  local r, places, part = {}, floor(k / 24), 2 ^ (k % 24)
  for i = 1, LIMBS do
    local here, above = a[i + places] or fill, a[i + places + 1] or fill
    r[i] = floor(here / part) + (above % part) * (LIMB / part)
  end
  return r
end
function W.fdiv(a, b)
  if W.is_zero(b) then return W.of(0) end
  local zero = W.of(0)
  local x = W.negative(a) and W.sub(zero, a) or a
  local y = W.negative(b) and W.sub(zero, b) or b
  local q, r = W.of(0), W.of(0)
  for k = 24 * LIMBS - 1, 0, -1 do
    r = W.shl(r, 1)
    r[1] = r[1] + floor(x[floor(k / 24) + 1] / 2 ^ (k % 24)) % 2
    q = W.shl(q, 1)
    if W.compare(r, y) >= 0 then
      r = W.sub(r, y)
      q[1] = q[1] + 1
    end
  end
  if W.negative(a) == W.negative(b) then return q end
  if not W.is_zero(r) then q = W.add(q, W.of(1)) end
  return W.sub(zero, q)
end
