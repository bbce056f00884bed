-- List what is held, after what has expired is booked: eleven words a lease.
-- The reply's second word says whether more leases have expired than one turn books.

if sweep(512) == 512 then return { born, '1' } end
local reply = { born, '0' }
local stored = redis.call('HGETALL', LEASES)
for index = 1, #stored, 2 do
  local lease = cmsgpack.unpack(stored[index + 1])
  if lease.s == 'open' then
    for _, word in ipairs({ stored[index], lease.i, whole(lease.d), whole(lease.l),
      whole(lease.a[1]), whole(lease.a[2]), whole(lease.a[3]), whole(lease.e[1]),
      whole(lease.e[2]), whole(lease.e[3]), lease.t }) do
      reply[#reply + 1] = word
    end
  end
end
return reply
