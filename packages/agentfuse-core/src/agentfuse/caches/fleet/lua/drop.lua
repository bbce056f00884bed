-- Forget answers, and say so to all who follow the stream; gives how many there were.
-- KEYS: the stream, then the answers. ARGV: how many lines the stream may have, the entries' ids.
local gone = 0
for number = 2, #KEYS do
  if redis.call('DEL', KEYS[number]) == 1 then
    gone = gone + 1
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'drop1', ARGV[number])
  end
end
return gone
