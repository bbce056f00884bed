-- Let an open lease last from now. ARGV: id, life (microseconds).

local id, life = ARGV[1], tonumber(ARGV[2])
local lease = lease_of(id)
if not lease or lease.s ~= 'open' or lease.d <= now then return { born, '0' } end
lease.l, lease.d = life, now + life
keep(id, lease, lease.d)
return { born, '1' }
