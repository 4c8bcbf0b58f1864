-- One change of the table, whole or not at all: everything is checked before the first write.
--
-- KEYS: meta, table, log, activity, leases, seen (of this change's id), gone
-- ARGV: history, revision the writer knows, revision expected ("" for any), writer, entries the log
-- keeps, most routes of an entry, versions by key as JSON ("" unless it is handed in), when what is
-- put was active as JSON ("" if now), the writer's lease (ms), the revision after which no route of
-- the change may have been changed ("" for any), the bytes the log keeps, how many removed keys are
-- remembered, versions by hash of more that are ("" for none), the time after which nobody waits for
-- it (ms, 0 for ever), then how many to put, key, text, activity (s, "" for now) of each and whether
-- it must be there ("1"), and keys to delete.
-- Returns {"ok", revision, moment (ms), how much was written, version, holders of leases...}, or
-- {"stale"} if the table is of another history, {"late"}, or {"changed", revision}.
local meta = redis.call('HMGET', KEYS[1], 'history', 'began', 'revision', 'count', 'weight', 'marks',
    'version', 'since')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local count = redis.call('HLEN', KEYS[2])
if meta[1] ~= ARGV[1] or meta[2] ~= run or tonumber(meta[4]) ~= count then
    return {'stale'}
end
if tonumber(meta[3]) < tonumber(ARGV[2]) then
    return {'stale'}
end
redis.call('HLEN', KEYS[4])
redis.call('XLEN', KEYS[3])
redis.call('ZSCORE', KEYS[5], ARGV[4])
local removed = redis.call('ZCARD', KEYS[7])
local time = redis.call('TIME')
local revision, now = tonumber(meta[3]), time[1] * 1000 + math.floor(time[2] / 1000)
-- Microseconds take 16 digits: more than Lua writes of a number by itself.
local latest_version = tonumber(meta[7] or 0) or 0
local version = string.format('%.0f', math.max(time[1] * 1000000 + time[2], latest_version + 1))

local function answer(at, written)
    revive(KEYS[5], ARGV[4], tonumber(ARGV[9]), now)
    local live = redis.call('ZRANGEBYSCORE', KEYS[5], '(' .. now, '+inf')
    return {'ok', at, now, written, version, unpack(live)}
end

local before = redis.call('GET', KEYS[6])
if before then
    return answer(tonumber(before), 1)
end
-- Its writer may have been told since that it failed, and have made other changes of these routes.
if tonumber(ARGV[14]) > 0 and now > tonumber(ARGV[14]) then
    return {'late'}
end
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= revision then
    return {'changed', revision}
end

-- In slices: a call for each route would hold up Redis, and everybody's calls, for too long.
local SLICE = 500
local function values_of(key, names)
    local values = {}
    for from = 1, #names, SLICE do
        local upto = math.min(from + SLICE - 1, #names)
        for _, value in ipairs(redis.call('HMGET', key, unpack(names, from, upto))) do
            table.insert(values, value)
        end
    end
    return values
end
local function old_values(from, to, step)
    local names = {}
    for at = from, to, step do
        table.insert(names, ARGV[at])
    end
    return values_of(KEYS[2], names)
end
local function in_slices(command, key, words)
    for from = 1, #words, 2 * SLICE do
        redis.call(command, key, unpack(words, from, math.min(from + 2 * SLICE - 1, #words)))
    end
end

-- What is handed in is not as new as what is done now: of two changes of a key the later one counts.
local versions = ARGV[7] ~= '' and cjson.decode(ARGV[7])
local function gone_name(key)
    return string.sub(redis.sha1hex(key), 1, 20)
end
local function written_at(old)
    return tonumber(old and string.match(old, '^%d+ (%d+)') or 0)
end
local function is_overtaken(key, old, removes)
    if not versions then
        return false
    end
    local gone = tonumber(redis.call('ZSCORE', KEYS[7], gone_name(key)) or 0)
    local version = tonumber(versions[key])
    -- Of a key that is known to be gone, the route may have come meanwhile: see `handing_in`.
    local is_known = gone > version or gone == version and not (removes and old)
    return written_at(old) >= version or is_known
end

-- What is there already is not written again: it waits for the revision that put it. But if that was
-- in an earlier history, who was cut off since then may have removed it, and hand that in.
local begun = tonumber(meta[8] or 0) or 0
local puts, deletes, known, latest = {}, {}, 0, tonumber(ARGV[10]) or math.huge
local active, first = {}, 16
local last = first + 4 * tonumber(ARGV[15]) - 1
for number, old in ipairs(old_values(first, last, 4)) do
    local at = first + 4 * (number - 1)
    local mark = old and string.find(old, '\n', 1, true)
    local since = mark and tonumber(string.match(old, '^%d+')) or 0
    if since > latest or (not old and ARGV[at + 3] == '1') then
        return {'changed', revision}
    elseif not is_overtaken(ARGV[at], old) then
        table.insert(active, at)
        local is_sure = mark and not versions and written_at(old) > begun
        if is_sure and string.sub(old, mark + 1) == ARGV[at + 1] then
            known = math.max(known, since)
        else
            table.insert(puts, at)
            count = count + (old and 0 or 1)
        end
    end
end
for number, old in ipairs(old_values(last + 1, #ARGV, 1)) do
    local key = ARGV[last + number]
    if old and tonumber(string.match(old, '^%d+') or 0) > latest then
        return {'changed', revision}
    elseif (old or versions) and not is_overtaken(key, old, true) then
        table.insert(deletes, key)
        count = count - (old and 1 or 0)
    end
end

local gone = {}
for name, removal in pairs(ARGV[13] ~= '' and cjson.decode(ARGV[13]) or {}) do
    if tonumber(removal) > tonumber(redis.call('ZSCORE', KEYS[7], name) or 0) then
        table.insert(gone, removal)
        table.insert(gone, name)
    end
end
local more = #gone / 2

-- The log is cut by parts of equal bytes; `marks` are the revisions at which the latest parts ended,
-- and `weight` the bytes since. Each revision is one entry.
local PARTS = 50
local weight, marks = tonumber(meta[5] or 0) or 0, {}
for mark in string.gmatch(meta[6] or '', '%d+') do
    table.insert(marks, tonumber(mark))
end
local function kept(entry)
    for _, text in ipairs(entry) do
        weight = weight + #text
    end
    local part = tonumber(ARGV[11]) / PARTS
    if weight >= part then
        -- An entry larger than all of the log leaves nothing before it, but is kept itself.
        for _ = 1, math.min(math.floor(weight / part), PARTS) do
            table.insert(marks, revision)
        end
        weight = math.floor(weight % part)
        while #marks > PARTS + 1 do
            table.remove(marks, 1)
        end
        redis.call('HSET', KEYS[1], 'marks', table.concat(marks, ' '))
    end
    local before = #marks > PARTS and marks[1] or 0
    return math.max(1, math.min(tonumber(ARGV[5]), revision - before))
end

-- From here on it writes.
-- When a route was active that is put, somebody else may know better.
local moments, given = {}, {}
for _, at in ipairs(active) do
    if ARGV[at + 2] ~= '' then
        table.insert(given, ARGV[at])
    end
    table.insert(moments, ARGV[at])
    table.insert(moments, math.min(tonumber(ARGV[at + 2]) or now / 1000, now / 1000))
end
local better = {}
for number, moment in ipairs(values_of(KEYS[4], given)) do
    better[given[number]] = tonumber(moment or 0)
end
for at = 2, #moments, 2 do
    moments[at] = string.format('%.3f', math.max(moments[at], better[moments[at - 1]] or 0))
end
if #puts + #deletes + more == 0 then
    return answer(last > first and known or revision, 0)
end
in_slices('HSET', KEYS[4], moments)
revision = revision + 1
local entry = {'w', ARGV[4], 'h', ARGV[1], 'v', version, 't', string.format('%.3f', now / 1000)}
-- Of more that is gone nobody knows the keys: it is loaded.
local whole = #puts + #deletes > tonumber(ARGV[6]) or more > 0
if versions then
    if not whole then
        table.insert(entry, 'o')
        table.insert(entry, ARGV[7])
    end
    for _, each in pairs(versions) do
        if tonumber(each) > tonumber(version) then
            version = each
        end
    end
end
for at = 1, #gone, 2 do
    if tonumber(gone[at]) > tonumber(version) then
        version = gone[at]
    end
end
local function version_of(key)
    return versions and versions[key] or version
end
if whole then
    table.insert(entry, 'a')
    table.insert(entry, '1')
elseif ARGV[8] ~= '' then
    table.insert(entry, 'm')
    table.insert(entry, ARGV[8])
end
local rows, back = {}, {}
for _, at in ipairs(puts) do
    table.insert(rows, ARGV[at])
    table.insert(rows, revision .. ' ' .. version_of(ARGV[at]) .. '\n' .. ARGV[at + 1])
    if removed > 0 then
        table.insert(back, gone_name(ARGV[at]))
    end
    if not whole then
        table.insert(entry, 'p' .. ARGV[at])
        table.insert(entry, ARGV[at + 1])
    end
end
in_slices('HSET', KEYS[2], rows)
in_slices('HDEL', KEYS[2], deletes)
in_slices('HDEL', KEYS[4], deletes)
for _, key in ipairs(deletes) do
    table.insert(gone, version_of(key))
    table.insert(gone, gone_name(key))
end
in_slices('ZREM', KEYS[7], back)
in_slices('ZADD', KEYS[7], gone)
if #gone > 0 then
    redis.call('ZREMRANGEBYRANK', KEYS[7], 0, -1 - tonumber(ARGV[12]))
end
if not whole then
    for _, key in ipairs(deletes) do
        table.insert(entry, 'd' .. key)
        table.insert(entry, '')
    end
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', kept(entry), revision .. '-0', unpack(entry))
redis.call('HSET', KEYS[1], 'revision', revision, 'count', count, 'weight', weight,
    'version', version)
redis.call('SET', KEYS[6], revision, 'EX', 300)
return answer(revision, #puts + #deletes + more)
