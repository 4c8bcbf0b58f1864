-- Begin a history: whoever comes first, and only on the table that was looked at.
--
-- KEYS: meta, table, log, activity, claims, a whole table to take (none for the one that is there)
-- ARGV: history and revision that were seen ("" if there was none), run id seen, format, the new
-- history, the revision it continues, lineage.
-- Returns 1, or 0 if somebody else was faster. Who brings a table of its own only needs that
-- history: its writers hand in what they change there meanwhile.
KEYS[6] = KEYS[6] or ''
local meta = redis.call('HMGET', KEYS[1], 'history', 'revision')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local changed = KEYS[6] == '' and (meta[2] or '') ~= ARGV[2]
if (meta[1] or '') ~= ARGV[1] or changed or run ~= ARGV[3] then
    return 0
end
if KEYS[6] ~= '' then
    redis.call('DEL', KEYS[2])
    if redis.call('EXISTS', KEYS[6]) == 1 then
        redis.call('RENAME', KEYS[6], KEYS[2])
        redis.call('PERSIST', KEYS[2])
    end
end
redis.call('DEL', KEYS[3], KEYS[5])
redis.call('HSET', KEYS[1], 'format', ARGV[4], 'history', ARGV[5], 'began', run,
    'revision', ARGV[6], 'count', redis.call('HLEN', KEYS[2]), 'lineage', ARGV[7])
return 1
