-- Keep a process's slices alive, and tell it what it must know within a second.
-- KEYS[8]: the members. ARGV: member, life (microseconds), then id and account of each slice.
-- The reply: now, then for each slice whether it is open, spent, held, and whether others ask for
-- what it does not use; then the kill switches.

local life = tonumber(ARGV[2])
sweep(16)
redis.call('ZADD', KEYS[8], whole(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', whole(now - 3600000000))
local reply = { born, whole(now) }
for index = 3, #ARGV, 2 do
  local id, key = ARGV[index], ARGV[index + 1]
  local lease = lease_of(id)
  local is_open = lease and lease.s == 'open'
  if is_open and lease.d - now < life / 2 then
    lease.d = now + life
    keep(id, lease, lease.d)
  end
  local numbers = numbers_of({ 's:' .. key, 'h:' .. key, 'q:' .. key })
  reply[#reply + 1] = is_open and '1' or '0'
  reply[#reply + 1] = whole(numbers[1])
  reply[#reply + 1] = whole(numbers[2])
  reply[#reply + 1] = now - numbers[3] < 5000000 and '1' or '0'
end
for _, each in ipairs(redis.call('HGETALL', STOPS)) do reply[#reply + 1] = each end
return reply
