-- Who holds a lease: part of every script that asks.
--
-- Nobody can renew one while Redis takes no writes. Whoever is the first to write again finds its own
-- lapsed, and those that lapsed about when it did go on for half a lease, in which they are renewed.
-- If another one was renewed later, Redis did take writes, and who is not heard of is gone.
local function revive(leases, name, lease, now)
    local own = tonumber(redis.call('ZSCORE', leases, name) or now + 1)
    if own > now or lease <= 0 then
        return
    end
    local later = redis.call('ZRANGEBYSCORE', leases, '(' .. own + lease / 2, '+inf', 'LIMIT', 0, 1)
    if #later == 0 then
        for _, other in ipairs(redis.call('ZRANGEBYSCORE', leases, own - lease / 2, now)) do
            redis.call('ZADD', leases, now + lease / 2, other)
        end
    end
end
