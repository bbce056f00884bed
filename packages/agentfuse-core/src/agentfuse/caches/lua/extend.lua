-- Let a lease that is still the caller's live on, or end it.
-- KEYS: the lease. ARGV: who holds it, its further life in milliseconds (0 ends it).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  return redis.call('DEL', KEYS[1])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
