-- Book a lease's true cost, once. KEYS[8]: its key once it is closed.
-- ARGV: id, actual (three numbers), a token that the same call's repeats share.

local id, actual, token = ARGV[1], amounts_at(2), ARGV[5]

local function settled(lease, repeated)
  local reply = { born, 'settled', repeated, whole(lease.b[1]), whole(lease.b[2]),
    whole(lease.b[3]), whole(lease.a[1]) }
  for _, spent in ipairs(spent_of(lease.p)) do reply[#reply + 1] = spent end
  return reply
end

local lease = lease_of(id)
if not lease then
  local packed = redis.call('GET', KEYS[8])
  if not packed then return { born, 'unknown' } end
  lease = cmsgpack.unpack(packed)
  if lease.s == 'settled' then return settled(lease, lease.by == token and '0' or '1') end
end
book(id, lease, actual, 'settle')
lease.s, lease.by = 'settled', token
close(id, lease, KEYS[8])
return settled(lease, '0')
