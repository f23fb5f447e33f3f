-- Count a request if it fits everywhere. KEYS: the gateway's marker, subjects.
-- ARGV: {id, tokens, lease, subjects: [{requests, tokens, concurrent, follows}]}. Returns 1 or 0 and how all stand, or -1.
if not is_known(KEYS[1]) then return {-1} end
local now, asked = clock(), cjson.decode(ARGV[1])
local buckets, fits = {}, true
for n, rules in ipairs(asked.subjects) do
  local bucket = bucket_of(KEYS[n + 1], rules, now)
  buckets[n] = bucket
  for _, log in ipairs(bucket.logs) do
    fits = fits and log.count < log.limit
  end
  for m, spent in ipairs(bucket.spent) do
    local left = rules.tokens[m][2] - spent.used - spent.held
    fits = fits and left > 0 and (spent.held == 0 or left >= asked.tokens)
  end
  fits = fits and (rules.concurrent < 0 or bucket.in_flight < rules.concurrent)
end
local reply = {fits and 1 or 0}
for n, bucket in ipairs(buckets) do
  if fits then
    local flight = {tokens = asked.tokens, spans = {}}
    for _, log in ipairs(bucket.logs) do
      add(log, now)
    end
    for _, spent in ipairs(bucket.spent) do
      spent.held = spent.held + asked.tokens
      flight.spans[spent.kind] = spent.start
      save(bucket.subject, spent, now)
    end
    if bucket.asked.follows then
      launch(bucket.subject, asked.id, flight, now, asked.lease)
      bucket.in_flight = bucket.in_flight + 1
    end
  end
  report(reply, bucket, now)
end
return reply
