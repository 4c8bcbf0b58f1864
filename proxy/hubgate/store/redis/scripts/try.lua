-- Try on a key of its own whatever a table is written with; nothing of it is left.
--
-- KEYS: two names that nobody uses
-- Returns "", or the first error with its command.
local function attempt(...)
    local answer = redis.pcall(...)
    local failed = type(answer) == 'table' and answer['err']
    return failed and failed .. ': ' .. select(1, ...) or nil
end
local failed = attempt('DEL', KEYS[1], KEYS[2]) or attempt('TIME') or attempt('INFO', 'server')
if failed then
    return failed
end
local steps = {
    {{'HSET', KEYS[1], 'a', '1'}, {'HMGET', KEYS[1], 'a'}, {'HGET', KEYS[1], 'a'},
        {'HEXISTS', KEYS[1], 'a'}, {'HSCAN', KEYS[1], 0}, {'HDEL', KEYS[1], 'b'},
        {'HLEN', KEYS[1]}, {'HGETALL', KEYS[1]}, {'EXPIRE', KEYS[1], 60}, {'PEXPIRE', KEYS[1], 60000},
        {'PERSIST', KEYS[1]},
        {'RENAME', KEYS[1], KEYS[2]}},
    {{'XADD', KEYS[1], '*', 'a', '1'}, {'XLEN', KEYS[1]}, {'XRANGE', KEYS[1], '-', '+'},
        {'XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1}, {'XREAD', 'STREAMS', KEYS[1], '0'}},
    {{'ZADD', KEYS[1], 1, 'a'}, {'ZRANGEBYSCORE', KEYS[1], '-inf', '+inf'},
        {'ZRANGE', KEYS[1], 0, -1}, {'ZSCORE', KEYS[1], 'a'},
        {'ZCARD', KEYS[1]},
        {'ZREM', KEYS[1], 'a'}, {'ZREMRANGEBYRANK', KEYS[1], 0, -2}},
    {{'SET', KEYS[1], 'a', 'EX', 60}, {'GET', KEYS[1]}, {'EXISTS', KEYS[1]}},
}
for _, step in ipairs(steps) do
    for _, command in ipairs(step) do
        failed = failed or attempt(unpack(command))
    end
    redis.call('DEL', KEYS[1], KEYS[2])
end
return failed or ''
