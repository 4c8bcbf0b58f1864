-- Merge when routes were active: the latest counts, and never one in the future.
--
-- KEYS: table, activity, stream of it
-- ARGV: writer, then key and moment (s) of each
-- The stream gets what was merged, by Redis's clock: the others would not believe a moment to come.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local merged = {}
for at = 2, #ARGV, 2 do
    local key, moment = ARGV[at], math.min(tonumber(ARGV[at + 1]), now)
    local known = tonumber(redis.call('HGET', KEYS[2], key) or 0)
    if (moment >= known or known > now) and redis.call('HEXISTS', KEYS[1], key) == 1 then
        local text = string.format('%.3f', moment)
        redis.call('HSET', KEYS[2], key, text)
        merged[key] = tonumber(text)
    end
end
if next(merged) then
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100, '*', 'w', ARGV[1], 'a', cjson.encode(merged))
end
return 1
