-- Say what one holds of a table whose history has to be settled.
--
-- KEYS: claims
-- ARGV: run id, name, claim ("" for none)
-- Returns the milliseconds since the first claim after this start of Redis, then name and claim of
-- each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], '#run') ~= ARGV[1] then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], '#run', ARGV[1], '#since', now)
end
if ARGV[3] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], 60000)
return {now - tonumber(redis.call('HGET', KEYS[1], '#since')), redis.call('HGETALL', KEYS[1])}
