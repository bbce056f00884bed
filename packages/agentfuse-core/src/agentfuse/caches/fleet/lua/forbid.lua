-- Remember a pair that was called wrong, and say so to all who follow the stream.
-- KEYS: the stream, the pairs. ARGV: how many lines the stream may have, the pair, how many pairs
-- are remembered.
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], now[1] + now[2] / 1000000, ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[3] - 1)
redis.call('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[1], '*', 'forbid1', ARGV[2])
