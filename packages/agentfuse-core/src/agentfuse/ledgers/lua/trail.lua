-- List what happened of late, newest first: at, what, lease, three amounts and text. ARGV: how many.

local reply = { born }
for _, entry in ipairs(redis.call('XREVRANGE', TRAIL, '+', '-', 'COUNT', ARGV[1])) do
  for index = 2, 14, 2 do reply[#reply + 1] = entry[2][index] end
end
return reply
