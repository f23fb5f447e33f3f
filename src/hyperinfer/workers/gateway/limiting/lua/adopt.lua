-- Take in what a gateway has counted for itself. KEYS: a marker of this batch, a subject. ARGV: {lease, requests: [[length,
-- [[age, admissions], ...]], ...], tokens: [[kind, start, used], ...], flights: [[id, tokens, {kind: start}], ...]}, oldest first.
if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', LOST_MS) then return {0} end
local subject, asked, now = KEYS[2], cjson.decode(ARGV[1]), clock()

for _, part in ipairs(asked.requests) do
  local length, entries = part[1], {}
  local key = subject .. ':' .. string.format('%.0f', length)
  for _, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do
    local time, before, upto = parse(entry)
    table.insert(entries, {time, upto - before})
  end
  for _, entry in ipairs(part[2]) do
    table.insert(entries, {now - entry[1], entry[2]})
  end
  table.sort(entries, function(one, other) return one[1] < other[1] end)
  redis.call('DEL', key)
  local upto = 0
  for _, entry in ipairs(entries) do
    if entry[1] > now - length then
      redis.call('RPUSH', key, written(entry[1], upto, upto + entry[2]))
      upto = upto + entry[2]
    end
  end
  redis.call('PEXPIRE', key, math.ceil(length / 1000) + 1000)
end

for _, part in ipairs(asked.tokens) do
  local spent = spent_of(subject, part[1], now)
  if spent.start == part[2] then
    spent.used = spent.used + part[3]
    save(subject, spent, now)
  end
end

for _, part in ipairs(asked.flights) do
  if redis.call('HEXISTS', subject .. ':held', part[1]) == 0 then
    local flight = {tokens = part[2], spans = part[3]}
    launch(subject, part[1], flight, now, asked.lease)
    change(subject, flight, 'held', flight.tokens)
  end
end
return {1}
