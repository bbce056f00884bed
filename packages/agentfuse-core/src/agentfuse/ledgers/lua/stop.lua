-- Pull a kill switch. ARGV: mark, reason, text.

redis.call('HEXISTS', STOPS, ARGV[1])
tell('stop', ARGV[1], NOTHING, ARGV[3])
redis.call('HSET', STOPS, ARGV[1], ARGV[2])
return { born }
