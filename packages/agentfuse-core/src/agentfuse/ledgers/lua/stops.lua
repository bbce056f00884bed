-- List the kill switches that are pulled: mark and reason in turn.

local reply = redis.call('HGETALL', STOPS)
table.insert(reply, 1, born)
return reply
