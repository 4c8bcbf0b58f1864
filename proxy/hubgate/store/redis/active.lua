-- Merge when routes were active: the latest counts, and never one in the future.
--
-- KEYS: table, activity, stream of it
-- ARGV: writer, the batch as JSON, then key and moment (s) of each
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
for at = 3, #ARGV, 2 do
    local key, moment = ARGV[at], math.min(tonumber(ARGV[at + 1]), now)
    local known = tonumber(redis.call('HGET', KEYS[2], key) or 0)
    if (moment > known or known > now) and redis.call('HEXISTS', KEYS[1], key) == 1 then
        redis.call('HSET', KEYS[2], key, string.format('%.3f', moment))
    end
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100, '*', 'w', ARGV[1], 'a', ARGV[2])
return 1
