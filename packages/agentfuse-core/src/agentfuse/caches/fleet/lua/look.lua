-- Say what a stream is and how far it goes: its name, its first and its last line, its length.
-- KEYS: the stream, who it is.
local born = redis.call('GET', KEYS[2]) or ''
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #first == 0 then
  return { born, '0-0', '0-0', 0 }
end
return { born, first[1][1], last[1][1], redis.call('XLEN', KEYS[1]) }
