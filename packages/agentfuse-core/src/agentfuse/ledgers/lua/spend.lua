-- Book a cost that has already happened, once. KEYS[8]: where this call's repeats find it.
-- ARGV: amount (three numbers), text, limits.

local amount, text, limits = amounts_at(1), ARGV[4], limits_at(5)
if redis.call('EXISTS', KEYS[8]) == 1 then return { born } end
tell('spend', '', amount, text)
note_ends(limits)
move(places_of(limits), amount, NOTHING, false, true)
redis.call('SET', KEYS[8], '1', 'EX', 3600)
return { born }
