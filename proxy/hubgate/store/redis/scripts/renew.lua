-- Renew a lease, or give it up.
--
-- KEYS: meta, table, leases, replicas, secret
-- ARGV: name, instance, milliseconds (0 to give it up), what others may know of it (JSON, "" for
-- what is known already), whether this is the start of the instance, a secret if there is none yet
-- Returns {0} if another instance holds the lease of this name, else {1, run id, history, began, revision, whether
-- the table has as many routes as it must, the secret, now (ms), name and end of each lease, name
-- and record of each replica}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
-- A record is the run id of the Redis to which it was told, and what its replica said of itself.
local function record_of(name)
    local made, text = string.match(redis.call('HGET', KEYS[4], name) or '', '^(%w+) (.*)$')
    return text and cjson.decode(text) or {}, made
end
local rival, made = record_of(ARGV[1])
local instance = rival['instance']
-- One of an earlier start of Redis may be our own: of a release before us, in older data.
if instance and made == run and instance ~= ARGV[2] and ARGV[5] ~= '1' then
    local ends = redis.call('ZSCORE', KEYS[3], ARGV[1])
    if ends and tonumber(ends) > now then
        return {0}
    end
end
if tonumber(ARGV[3]) == 0 then
    redis.call('ZREM', KEYS[3], ARGV[1])
    redis.call('HDEL', KEYS[4], ARGV[1])
else
    revive(KEYS[3], ARGV[1], tonumber(ARGV[3]), now)
    redis.call('ZADD', KEYS[3], now + tonumber(ARGV[3]), ARGV[1])
    if ARGV[4] ~= '' then
        redis.call('HSET', KEYS[4], ARGV[1], run .. ' ' .. ARGV[4])
    end
end
-- A clock that ran ahead must not make anybody live for longer than a lease.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. now + tonumber(ARGV[3]), '+inf')) do
    local lease = tonumber(record_of(name)['lease']) or 0
    local ends = tonumber(redis.call('ZSCORE', KEYS[3], name))
    redis.call('ZADD', KEYS[3], math.min(ends, now + lease * 1000), name)
end
redis.call('SET', KEYS[5], ARGV[6], 'NX')
-- Those that are long gone are forgotten.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - 86400000)) do
    redis.call('ZREM', KEYS[3], name)
    redis.call('HDEL', KEYS[4], name)
end
local meta = redis.call('HMGET', KEYS[1], 'history', 'began', 'revision', 'count')
local whole = tonumber(meta[4] or -1) == redis.call('HLEN', KEYS[2]) and 1 or 0
return {1, run, meta[1] or '', meta[2] or '', tonumber(meta[3] or 0), whole,
    redis.call('GET', KEYS[5]), now, redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES'),
    redis.call('HGETALL', KEYS[4])}
