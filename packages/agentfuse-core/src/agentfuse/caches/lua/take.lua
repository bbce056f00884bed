-- Look for an answer, and where there is none take the lead in asking for it.
-- KEYS: the answer, the lease. ARGV: who asks, the lease's life in milliseconds.
-- Gives {'answer', data}, {'held', who leads} or {'mine'}.
local answer = redis.call('GET', KEYS[1])
if answer then
  return { 'answer', answer }
end
local holder = redis.call('GET', KEYS[2])
if holder then
  return { 'held', holder }
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return { 'mine' }
