-- What every script of the ledger begins with: the time, the schema, and how accounts are moved.
--
-- All keys are named by the caller and share one hash tag: meta, accounts, leases, deadlines, ends,
-- stops, trail, then what the script at hand needs. Amounts are whole numbers of at most 2^53, which
-- Lua's doubles hold exactly; they are written by `whole`, since tostring() would round them.
-- A script looks at its keys before it writes, and the trail is written first: a key of a foreign
-- type ends it before anything has changed.

local META, ACCOUNTS, LEASES, DEADLINES = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ENDS, STOPS, TRAIL = KEYS[5], KEYS[6], KEYS[7]

local SCHEMA = '1'
local REMEMBERED = 86400          -- seconds that a closed lease is remembered
local KEPT = 35 * 86400           -- seconds that an account is kept after its window has ended
local TRAIL_LINES = 10000
local LARGEST = 9007199254740992  -- 2^53

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]  -- microseconds

-- HINCRBY takes no "-0", and %.14g (what tostring does) keeps no more than 14 digits.
local function whole(number)
  if number == 0 then return '0' end
  return string.format('%.0f', number)
end

local meta = redis.call('HMGET', META, 'schema', 'born')
if not meta[1] then
  if redis.call('EXISTS', META) == 1 then return redis.error_reply('AGENTFUSE foreign') end
  meta = { SCHEMA, whole(now) }
  redis.call('HSET', META, 'schema', SCHEMA, 'born', meta[2])
elseif meta[1] ~= SCHEMA then
  return redis.error_reply('AGENTFUSE schema ' .. meta[1])
end
local born = meta[2]

-- Three amounts, of nanodollars, tokens and requests, from the arguments on.
local function amounts_at(index)
  return { tonumber(ARGV[index]), tonumber(ARGV[index + 1]), tonumber(ARGV[index + 2]) }
end

local function less(some, others)
  return { some[1] - others[1], some[2] - others[2], some[3] - others[3] }
end

local NOTHING = { 0, 0, 0 }

-- Limits, from the arguments on: how many, then key, unit, amount, pace, end (seconds; 0: never),
-- how many other accounts count as well, and those. The second result is the index after them.
local function limits_at(index)
  local limits = {}
  local count = tonumber(ARGV[index])
  index = index + 1
  for number = 1, count do
    local others = tonumber(ARGV[index + 5])
    limits[number] = {
      key = ARGV[index], unit = tonumber(ARGV[index + 1]), amount = tonumber(ARGV[index + 2]),
      pace = tonumber(ARGV[index + 3]), ends = tonumber(ARGV[index + 4]), counted = {},
    }
    for other = 1, others do limits[number].counted[other] = ARGV[index + 5 + other] end
    index = index + 6 + others
  end
  return limits, index
end

-- What a lease keeps of its limits, to be booked on later: key, unit, pace.
local function places_of(limits)
  local places = {}
  for number, limit in ipairs(limits) do places[number] = { limit.key, limit.unit, limit.pace } end
  return places
end

local function add(field, amount)
  if amount ~= 0 then redis.call('HINCRBY', ACCOUNTS, field, whole(amount)) end
end

-- Book on each account once: `spent` and `held` are by unit, and may be negative. What a lease
-- `is_slice` of holds is summed apart. `anew` says that a rate starts from now where it is whole.
local function move(places, spent, held, is_slice, anew)
  local seen = {}
  for _, place in ipairs(places) do
    local key, unit, pace = place[1], place[2], place[3]
    if not seen[key] then
      seen[key] = true
      add('s:' .. key, spent[unit])
      add('h:' .. key, held[unit])
      if is_slice then add('x:' .. key, held[unit]) end
      if pace > 0 then
        local due = tonumber(redis.call('HGET', ACCOUNTS, 'd:' .. key) or '0')
        if anew then due = math.max(due, now) end
        due = math.min(due + (spent[unit] + held[unit]) * pace, LARGEST)
        redis.call('HSET', ACCOUNTS, 'd:' .. key, whole(due))
      end
    end
  end
end

-- Accounts of windows that ended long ago leave, a few at a time; those at hand are noted with
-- their ends.
local function note_ends(limits)
  local windowed = false
  for _, limit in ipairs(limits) do windowed = windowed or limit.ends > 0 end
  if not windowed then return end
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', time[1], 'LIMIT', 0, 16)) do
    if tonumber(redis.call('HGET', ACCOUNTS, 'h:' .. key) or '0') == 0 then
      for _, field in ipairs({ 's:', 'h:', 'd:', 'x:', 'p:', 'q:' }) do
        redis.call('HDEL', ACCOUNTS, field .. key)
      end
      redis.call('ZREM', ENDS, key)
    else
      redis.call('ZADD', ENDS, time[1] + 86400, key)
    end
  end
  for _, limit in ipairs(limits) do
    if limit.ends > 0 then redis.call('ZADD', ENDS, 'NX', whole(limit.ends + KEPT), limit.key) end
  end
end

-- One line of the trail; its id orders leases by age.
local function tell(what, id, amount, text)
  return redis.call('XADD', TRAIL, 'MAXLEN', '~', TRAIL_LINES, '*', 'at', whole(now),
    'what', what, 'lease', id, 'n', whole(amount[1]), 't', whole(amount[2]),
    'r', whole(amount[3]), 'text', text)
end

-- Leases are kept packed. Fields: s state (open, expired, released, settled), i id in the trail,
-- d deadline, l life (both microseconds), a amount, e estimate, b booked, p places, t the caller's
-- text, x whether it is a slice, by who settled it.
local function lease_of(id)
  local packed = redis.call('HGET', LEASES, id)
  return packed and cmsgpack.unpack(packed) or nil
end

local function keep(id, lease, due)
  redis.call('HSET', LEASES, id, cmsgpack.pack(lease))
  redis.call('ZADD', DEADLINES, whole(due), id)
end

-- A closed lease leaves for a key of its own, which Redis forgets by itself.
local function close(id, lease, closed_key)
  redis.call('HDEL', LEASES, id)
  redis.call('ZREM', DEADLINES, id)
  redis.call('SET', closed_key, cmsgpack.pack(lease), 'EX', REMEMBERED)
end

-- Make `actual` the whole cost of an open or expired lease.
local function book(id, lease, actual, what)
  local before, held = NOTHING, less(NOTHING, lease.a)
  if lease.s ~= 'open' then before, held = lease.b, NOTHING end
  tell(what, id, actual, lease.t)
  move(lease.p, less(actual, before), held, lease.x)
  lease.b = actual
end

-- Book leases past their deadline at their estimate, and forget those that expired a day ago: no
-- more than `most` of both. An expired lease stays, so that a late settlement finds it.
local function sweep(most)
  local due = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', whole(now), 'LIMIT', 0, most)
  for _, id in ipairs(due) do
    local lease = lease_of(id)
    if lease and lease.s == 'open' then
      book(id, lease, lease.e, 'expire')
      lease.s = 'expired'
      keep(id, lease, now + REMEMBERED * 1000000)
    else
      redis.call('HDEL', LEASES, id)
      redis.call('ZREM', DEADLINES, id)
    end
  end
  return #due
end

-- Several accounts' numbers by one command, absent ones as zero.
local function numbers_of(fields)
  local numbers = redis.call('HMGET', ACCOUNTS, unpack(fields))
  for index, number in ipairs(numbers) do numbers[index] = tonumber(number or '0') end
  return numbers
end

-- What each of a lease's limits has spent, as written: exact beyond 2^53 as well.
local function spent_of(places)
  if #places == 0 then return {} end
  local fields = {}
  for index, place in ipairs(places) do fields[index] = 's:' .. place[1] end
  local spent = redis.call('HMGET', ACCOUNTS, unpack(fields))
  for index, number in ipairs(spent) do spent[index] = number or '0' end
  return spent
end
