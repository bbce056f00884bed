-- Keep an answer and say so to all who follow the stream.
-- KEYS: the stream, who it is, the answer. ARGV: the answer's data, its life in milliseconds, how
-- many lines the stream may have, a name for a stream that begins, the entry, its vector.
-- Gives the line's id and the stream's name.
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[4], 'NX')
local born = redis.call('GET', KEYS[2])
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*',
  'put1', born .. '\n' .. ARGV[5] .. '\n' .. ARGV[6])
-- A stream that nobody writes to any more goes when its last answer has gone.
for _, key in ipairs({ KEYS[1], KEYS[2] }) do
  if redis.call('PTTL', key) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return { id, born }
