-- Hold a lease on all its limits, or on none. KEYS[8]: its key once it is closed.
-- ARGV: id, life (microseconds), amount, estimate (three numbers each), text, marks, limits.

local id, life, amount, estimate = ARGV[1], tonumber(ARGV[2]), amounts_at(3), amounts_at(6)
local text, marked = ARGV[9], tonumber(ARGV[10])
local limits = limits_at(11 + marked)

sweep(16)

local known = lease_of(id)
if not known then
  local packed = redis.call('GET', KEYS[8])
  known = packed and cmsgpack.unpack(packed)
end
if known then
  return { born, 'known', whole(known.d), whole(known.l), whole(known.a[1]), whole(known.a[2]),
    whole(known.a[3]), whole(known.e[1]), whole(known.e[2]), whole(known.e[3]), known.t }
end

if marked > 0 then
  for index, reason in ipairs(redis.call('HMGET', STOPS, unpack(ARGV, 11, 10 + marked))) do
    if reason then return { born, 'stopped', ARGV[10 + index], reason } end
  end
end

-- Say which limit refuses (its number, what is left, when its rate is whole): as ledgers/rules.py.
-- What is left is found by subtraction alone: a sum could pass 2^53, and be rounded down to fit.
local function refusal()
  local fields = {}
  for _, limit in ipairs(limits) do
    fields[#fields + 1] = 'd:' .. limit.key
    fields[#fields + 1] = 's:' .. limit.key
    fields[#fields + 1] = 'h:' .. limit.key
    for _, key in ipairs(limit.counted) do
      fields[#fields + 1] = 's:' .. key
      fields[#fields + 1] = 'h:' .. key
    end
  end
  if #fields == 0 then return nil end
  local numbers = numbers_of(fields)
  local at = 0
  for index, limit in ipairs(limits) do
    local due, left, needed = numbers[at + 1], limit.amount, amount[limit.unit]
    local last = at + 3 + 2 * #limit.counted
    for number = at + 2, last do left = left - numbers[number] end
    at = last
    local refused
    if limit.pace > 0 then
      refused = math.max(due - now, 0) + needed * limit.pace > limit.amount * limit.pace
    else
      refused = needed > left
    end
    if refused then
      return { born, 'refused', whole(index), whole(left), whole(due), whole(now) }
    end
  end
  return nil
end

-- Room may still be held by leases that have expired: book more of them before saying no.
local refused, swept = refusal(), 0
while refused and swept < 4096 do
  local some = sweep(256)
  if some == 0 then break end
  swept = swept + some
  refused = refusal()
end
if refused then return refused end

local places = places_of(limits)
local order = tell('reserve', id, amount, text)
note_ends(limits)
move(places, NOTHING, amount, false, true)
local deadline = now + life
local lease = { s = 'open', i = order, d = deadline, l = life, a = amount, e = estimate,
  b = NOTHING, p = places, t = text }
keep(id, lease, deadline)
return { born, 'held', whole(deadline) }
