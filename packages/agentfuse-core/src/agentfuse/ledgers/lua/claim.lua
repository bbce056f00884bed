-- Say '1' to the first who asks under a name, also when it asks again. KEYS[8]: the claims.
-- ARGV: name, a token that the same call's repeats share.

redis.call('HSETNX', KEYS[8], ARGV[1], ARGV[2])
return { born, redis.call('HGET', KEYS[8], ARGV[1]) == ARGV[2] and '1' or '0' }
