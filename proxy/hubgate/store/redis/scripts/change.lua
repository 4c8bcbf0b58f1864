-- One change of the table, whole or not at all: everything is checked before the first write.
--
-- KEYS: meta, table, log, activity, leases, seen (of this change's id)
-- ARGV: history, revision the writer knows, revision expected ("" for any), writer, entries the log
-- keeps, most routes of an entry, where it comes from ("" unless it is handed in), when what is put
-- was active as JSON ("" if now), the writer's lease (ms), the revision after which no route of the
-- change may have been changed ("" for any), the bytes the log keeps, then how many to put, key, text
-- and activity (s, "" for now) of each, and keys to delete.
-- Returns {"ok", revision, moment (ms), whether anything was written, holders of leases...}, or
-- {"stale"} if the table is of another history, or {"changed", revision}.
local meta = redis.call('HMGET', KEYS[1], 'history', 'began', 'revision', 'count', 'weight', 'marks')
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
local time = redis.call('TIME')
local revision, now = tonumber(meta[3]), time[1] * 1000 + math.floor(time[2] / 1000)

local function answer(at, written)
    revive(KEYS[5], ARGV[4], tonumber(ARGV[9]), now)
    local live = redis.call('ZRANGEBYSCORE', KEYS[5], '(' .. now, '+inf')
    return {'ok', at, now, written, unpack(live)}
end

local before = redis.call('GET', KEYS[6])
if before then
    return answer(tonumber(before), 1)
end
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= revision then
    return {'changed', revision}
end

-- In slices: a call for each route would hold up Redis, and everybody's calls, for too long.
local SLICE = 500
local function old_values(from, to, step)
    local names, values = {}, {}
    local function ask()
        for _, old in ipairs(redis.call('HMGET', KEYS[2], unpack(names))) do
            table.insert(values, old)
        end
        names = {}
    end
    for at = from, to, step do
        table.insert(names, ARGV[at])
        if #names == SLICE then
            ask()
        end
    end
    if #names > 0 then
        ask()
    end
    return values
end
local function in_slices(command, key, words)
    for from = 1, #words, 2 * SLICE do
        redis.call(command, key, unpack(words, from, math.min(from + 2 * SLICE - 1, #words)))
    end
end

-- What is there already is not written again: it waits for the revision that put it.
local puts, deletes, known, latest = {}, {}, 0, tonumber(ARGV[10]) or math.huge
local first = 13
local last = first + 3 * tonumber(ARGV[12]) - 1
for number, old in ipairs(old_values(first, last, 3)) do
    local at = first + 3 * (number - 1)
    local mark = old and string.find(old, '\n', 1, true)
    local since = mark and tonumber(string.sub(old, 1, mark - 1)) or 0
    if since > latest then
        return {'changed', revision}
    elseif mark and string.sub(old, mark + 1) == ARGV[at + 1] then
        known = math.max(known, since)
    else
        table.insert(puts, at)
        count = count + (old and 0 or 1)
    end
end
for number, old in ipairs(old_values(last + 1, #ARGV, 1)) do
    if old and tonumber(string.match(old, '^%d+') or 0) > latest then
        return {'changed', revision}
    elseif old then
        table.insert(deletes, ARGV[last + number])
        count = count - 1
    end
end

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
local moments = {}
for at = first, last, 3 do
    local moment = math.min(tonumber(ARGV[at + 2]) or now / 1000, now / 1000)
    table.insert(moments, ARGV[at])
    table.insert(moments, string.format('%.3f', moment))
end
in_slices('HSET', KEYS[4], moments)
if #puts + #deletes == 0 and ARGV[7] == '' then
    return answer(last > first and known or revision, 0)
end
revision = revision + 1
local entry, whole = {'w', ARGV[4], 'h', ARGV[1]}, #puts + #deletes > tonumber(ARGV[6])
if ARGV[7] ~= '' then
    table.insert(entry, 'o')
    table.insert(entry, ARGV[7])
end
if whole then
    table.insert(entry, 'a')
    table.insert(entry, cjson.encode(deletes))
elseif ARGV[8] ~= '' then
    table.insert(entry, 'm')
    table.insert(entry, ARGV[8])
end
local rows = {}
for _, at in ipairs(puts) do
    table.insert(rows, ARGV[at])
    table.insert(rows, revision .. '\n' .. ARGV[at + 1])
    if not whole then
        table.insert(entry, 'p' .. ARGV[at])
        table.insert(entry, ARGV[at + 1])
    end
end
in_slices('HSET', KEYS[2], rows)
in_slices('HDEL', KEYS[2], deletes)
in_slices('HDEL', KEYS[4], deletes)
if not whole then
    for _, key in ipairs(deletes) do
        table.insert(entry, 'd' .. key)
        table.insert(entry, '')
    end
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', kept(entry), revision .. '-0', unpack(entry))
redis.call('HSET', KEYS[1], 'revision', revision, 'count', count, 'weight', weight)
redis.call('SET', KEYS[6], revision, 'EX', 300)
return answer(revision, 1)
