-- Renew the leases of requests under way. KEYS: the gateway's marker, subjects. ARGV: {lease, ids: [[of the first subject], ...]}.
if not is_known(KEYS[1]) then return {-1} end
local asked = cjson.decode(ARGV[1])
local until_then = clock() + asked.lease
for n, ids in ipairs(asked.ids) do
  for _, id in ipairs(ids) do
    redis.call('ZADD', KEYS[n + 1] .. ':flights', 'XX', until_then, id)
  end
  keep(KEYS[n + 1] .. ':flights', asked.lease / 1000)
  keep(KEYS[n + 1] .. ':held', asked.lease / 1000)
end
return {1}
