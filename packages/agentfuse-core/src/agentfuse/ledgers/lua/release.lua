-- Drop a lease's hold and book nothing, unless it is settled. KEYS[8]: its key once it is closed.
-- ARGV: id.

local id = ARGV[1]
local lease = lease_of(id)
if lease then
  book(id, lease, NOTHING, 'release')
  lease.s = 'released'
  close(id, lease, KEYS[8])
end
return { born }
