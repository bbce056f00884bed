-- Keep a hash of an entry in place of an older one.
-- KEYS: the hash. ARGV: its life in milliseconds, then names and values.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
