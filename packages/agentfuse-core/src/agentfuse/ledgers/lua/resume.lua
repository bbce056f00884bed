-- Put a kill switch back, if it was pulled. ARGV: mark, text.

if redis.call('HEXISTS', STOPS, ARGV[1]) == 1 then
  tell('resume', ARGV[1], NOTHING, ARGV[2])
  redis.call('HDEL', STOPS, ARGV[1])
end
return { born }
