-- Begin a history: whoever comes first, and only on the table that was looked at.
--
-- KEYS: meta, table, log, activity, claims, gone, and for a whole table to take: that, its activity,
-- and what is gone from it
-- ARGV: history and revision that were seen ("" if there was none), run id seen, format, the new
-- history, the revision it continues, lineage, the latest version that anybody knows, and for a table
-- to take: how many members each of its three keys must have.
-- What is changed from now on has a later version than `since`.
-- Returns 1, or 0 if somebody else was faster. Who brings a table of its own only needs that
-- history: its writers hand in what they change there meanwhile.
local meta = redis.call('HMGET', KEYS[1], 'history', 'revision', 'version')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local changed = not KEYS[7] and (meta[2] or '') ~= ARGV[2]
if (meta[1] or '') ~= ARGV[1] or changed or run ~= ARGV[3] then
    return 0
end
-- It expires, so that nothing is left of one that nobody takes.
if KEYS[7] and (redis.call('HLEN', KEYS[7]) ~= tonumber(ARGV[9])
        or redis.call('HLEN', KEYS[8]) ~= tonumber(ARGV[10])
        or redis.call('ZCARD', KEYS[9]) ~= tonumber(ARGV[11])) then
    return 0
end
local function take(from, to)
    redis.call('DEL', to)
    if redis.call('EXISTS', from) == 1 then
        redis.call('RENAME', from, to)
        redis.call('PERSIST', to)
    end
end
if KEYS[7] then
    take(KEYS[7], KEYS[2])
    take(KEYS[8], KEYS[4])
    take(KEYS[9], KEYS[6])
end
local time = redis.call('TIME')
local latest = math.max(tonumber(ARGV[8]), tonumber(meta[3] or 0) or 0)
local since = string.format('%.0f', math.max(time[1] * 1000000 + time[2], latest + 1))
redis.call('DEL', KEYS[3], KEYS[5])
redis.call('HDEL', KEYS[1], 'weight', 'marks')
redis.call('HSET', KEYS[1], 'version', since, 'since', since, 'format', ARGV[4], 'history', ARGV[5], 'began', run,
    'revision', ARGV[6], 'count', redis.call('HLEN', KEYS[2]), 'lineage', ARGV[7])
return 1
