-- Account for a process's slice of one limit, and cut it a new one.
-- KEYS[8]: the members; from KEYS[9] on: the keys, once closed, of its slices so far.
-- ARGV: member, life (microseconds), id of the new slice, what its calls hold, what they ask for
-- beyond, the largest slice, processes (0: those seen of late), spent since the last account (may
-- be negative), text, how many slices so far and their ids, the limit.
--
-- A slice is a lease on one account: the rest of this ledger need not know more of it.

local member, life, id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local held, asked, largest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local processes, rest, text, olds = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local limits = limits_at(11 + olds)
local limit = limits[1]
local key, unit = limit.key, limit.unit
local ALIVE, PRESSED = 5000000, 5000000  -- microseconds

local function amount_of(number)
  local amount = { 0, 0, 0 }
  amount[unit] = number
  return amount
end

-- Book what was spent on the slices so far. One that an unanswered turn may have cut comes after
-- the one it took the place of: what the first has booked is not booked on the second again.
local function settle_olds()
  local known = olds == 0
  for index = 1, olds do
    local old, closed_key = ARGV[10 + index], KEYS[8 + index]
    local lease = lease_of(old)
    if lease then
      book(old, lease, amount_of(rest), 'settle')
      lease.s, lease.by, rest, known = 'settled', '', 0, true
      close(old, lease, closed_key)
    else
      local packed = redis.call('GET', closed_key)
      if packed then rest, known = rest - cmsgpack.unpack(packed).b[unit], true end
    end
  end
  -- With no slice left to book it on, or none that this store knows (it was emptied, or a day has
  -- passed), the account takes it; a store that knows of no slice has nothing to give back.
  if rest > 0 or (rest < 0 and known) then
    tell('spend', '', amount_of(rest), text)
    add('s:' .. key, rest)
  end
end

-- What is left of the limit (below zero where it was passed), and what is held as slices.
local function left_and_slices()
  local fields = { 'x:' .. key, 's:' .. key, 'h:' .. key }
  for _, other in ipairs(limit.counted) do
    fields[#fields + 1] = 's:' .. other
    fields[#fields + 1] = 'h:' .. other
  end
  local numbers, left = numbers_of(fields), limit.amount
  for index = 2, #numbers do left = left - numbers[index] end
  return left, numbers[1]
end

-- Cut a slice: what the calls hold, and beyond that what they ask for, or a fair share if larger.
local function cut(left, others)
  local pressed_until = numbers_of({ 'q:' .. key })[1] + PRESSED
  local room = math.max(left - held, 0)
  local share = 0
  if asked > 0 and now >= pressed_until then
    if processes == 0 then
      processes = redis.call('ZCOUNT', KEYS[8], whole(now - ALIVE), '+inf')
    end
    share = math.min(largest, math.floor(room / (2 * processes)))
  end
  local free = math.min(room, math.max(asked, share))
  if asked > free and others > 0 then
    -- Others sit on what is asked for here: for a while they give back what they do not use.
    if now >= pressed_until then redis.call('HSET', ACCOUNTS, 'p:' .. key, whole(now)) end
    redis.call('HSET', ACCOUNTS, 'q:' .. key, whole(now))
  end
  if held + free == 0 then return nil end
  local amount = amount_of(held + free)
  local lease = { s = 'open', d = now + life, l = life, a = amount, e = amount, b = NOTHING,
    p = places_of(limits), t = text, x = true }
  lease.i = tell('reserve', id, amount, text)
  note_ends(limits)
  move(lease.p, NOTHING, amount, true)
  keep(id, lease, lease.d)
  return lease
end

sweep(16)
redis.call('ZADD', KEYS[8], whole(now), member)
local lease = lease_of(id)  -- there already where a turn is repeated
if not lease then
  settle_olds()
  lease = cut(left_and_slices())
end

local granted = lease and lease.a[unit] or 0
local left, slices = left_and_slices()
local numbers = numbers_of({ 's:' .. key, 'h:' .. key, 'p:' .. key, 'q:' .. key })
local pressed = now - numbers[4] < PRESSED and whole(now - numbers[3]) or '-1'
local reply = { born, whole(now), whole(granted), whole(numbers[1]), whole(numbers[2]),
  whole(slices - granted), whole(math.max(left, 0)), pressed }
for _, each in ipairs(redis.call('HGETALL', STOPS)) do reply[#reply + 1] = each end
return reply
