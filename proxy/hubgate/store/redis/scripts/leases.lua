-- Who holds a lease: part of every script that asks.
--
-- Nobody can renew one while Redis takes no writes. Whoever is the first to write again finds its own
-- lapsed, and those that lapsed about when it did go on for half a lease, in which they are renewed.
local function revive(leases, name, lease, now)
    local own = tonumber(redis.call('ZSCORE', leases, name) or now + 1)
    if own <= now and lease > 0 then
        for _, other in ipairs(redis.call('ZRANGEBYSCORE', leases, own - lease, now)) do
            redis.call('ZADD', leases, now + lease / 2, other)
        end
    end
end
