-- Begin a history: whoever comes first, and only on the table that was looked at.
--
-- KEYS: meta, table, log, activity, claims, and for a whole table to take, that and its activity
-- ARGV: history and revision that were seen ("" if there was none), run id seen, format, the new
-- history, the revision it continues, lineage.
-- Returns 1, or 0 if somebody else was faster. Who brings a table of its own only needs that
-- history: its writers hand in what they change there meanwhile.
local meta = redis.call('HMGET', KEYS[1], 'history', 'revision')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local changed = not KEYS[6] and (meta[2] or '') ~= ARGV[2]
if (meta[1] or '') ~= ARGV[1] or changed or run ~= ARGV[3] then
    return 0
end
local function take(from, to)
    redis.call('DEL', to)
    if redis.call('EXISTS', from) == 1 then
        redis.call('RENAME', from, to)
        redis.call('PERSIST', to)
    end
end
if KEYS[6] then
    take(KEYS[6], KEYS[2])
    take(KEYS[7], KEYS[4])
end
redis.call('DEL', KEYS[3], KEYS[5])
redis.call('HDEL', KEYS[1], 'weight', 'marks')
redis.call('HSET', KEYS[1], 'format', ARGV[4], 'history', ARGV[5], 'began', run,
    'revision', ARGV[6], 'count', redis.call('HLEN', KEYS[2]), 'lineage', ARGV[7])
return 1
