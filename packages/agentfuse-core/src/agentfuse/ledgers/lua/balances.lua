-- Read accounts, after what has expired is booked. ARGV: keys.
-- The reply's second word says whether more leases have expired than one turn books.

if sweep(512) == 512 then return { born, '1' } end
local reply = { born, '0' }
local fields = {}
for index, key in ipairs(ARGV) do
  fields[2 * index - 1], fields[2 * index] = 's:' .. key, 'h:' .. key
end
-- Lua's stack takes some 8,000 results at once.
for first = 1, #fields, 2000 do
  local last = math.min(first + 1999, #fields)
  for _, number in ipairs(redis.call('HMGET', ACCOUNTS, unpack(fields, first, last))) do
    reply[#reply + 1] = number or '0'
  end
end
return reply
