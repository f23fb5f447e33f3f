-- How limits are counted in Redis; the same as in `hyperinfer.protocol.limits`, against which it is tested.
--
-- SUBJECT            a hash: for each kind of token window its start (s), and tokens used and held in it
-- SUBJECT:LENGTH     a list for each request window: admissions, oldest first, as "time before upto"
-- SUBJECT:flights    requests under way, by when their lease ends (us)
-- SUBJECT:held       what each of them holds, and in which token windows
-- SUBJECT:lost:ID    the same of a request whose lease has ended: its gateway was killed, or was away for long
--
-- "before" and "upto" number the admissions, so that an entry may stand for many. Times are in microseconds since the epoch.

local DAY = 86400
local LOST_MS = DAY * 1000

-- Day of the month of a number of days since the epoch, after Howard Hinnant's civil_from_days.
local function day_of_month(days)
  local shifted = days + 719468
  local of_era = shifted % 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  return of_year - math.floor((153 * month + 2) / 5) + 1
end

-- The UTC window that a second is in: its start, and when it is over.
local function span(kind, at)
  if kind == 'minute' then
    local start = at - at % 60
    return start, start + 60
  end
  local today = math.floor(at / DAY)
  if kind == 'day' then
    return today * DAY, (today + 1) * DAY
  end
  local first = today - day_of_month(today) + 1
  local after = first + 31
  return first * DAY, (after - day_of_month(after) + 1) * DAY
end

-- Keep a key for so many milliseconds at least.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, math.ceil(ms))
  end
end

local function parse(entry)
  local time, before, upto = string.match(entry, '(%d+) (%d+) (%d+)')
  return tonumber(time), tonumber(before), tonumber(upto)
end

local function written(time, before, upto)
  return string.format('%.0f %.0f %.0f', time, before, upto)
end

-- The admissions that count in a window: {length, limit, grain}, in microseconds.
local function log_of(subject, rule, now)
  local log = {key = subject .. ':' .. string.format('%.0f', rule[1]), length = rule[1], limit = rule[2], grain = rule[3]}
  local horizon = now - log.length
  local first = redis.call('LINDEX', log.key, 0)
  while first and (parse(first)) <= horizon do
    local gone = 0
    for n, entry in ipairs(redis.call('LRANGE', log.key, 0, 99)) do
      if (parse(entry)) > horizon then break end
      gone = n
    end
    redis.call('LPOP', log.key, gone)
    first = redis.call('LINDEX', log.key, 0)
  end
  log.upto, log.count = 0, 0
  if first then
    local oldest, before = parse(first)
    local newest, _, upto = parse(redis.call('LINDEX', log.key, -1))
    log.oldest, log.newest, log.upto, log.count = oldest, newest, upto, upto - before
  end
  return log
end

local function add(log, now)
  if log.newest and log.grain > 0 and now <= log.newest then
    local time, before, upto = parse(redis.call('LINDEX', log.key, -1))
    redis.call('LSET', log.key, -1, written(time, before, upto + 1))
  else
    log.newest = math.max(now + log.grain, log.newest or 0)
    log.oldest = log.oldest or log.newest
    redis.call('RPUSH', log.key, written(log.newest, log.upto, log.upto + 1))
  end
  log.upto, log.count = log.upto + 1, log.count + 1
  redis.call('PEXPIRE', log.key, math.ceil((log.newest + log.length - now) / 1000) + 1000)
end

-- When there is room again: as the limit-th last admission leaves.
local function frees(log, now)
  if log.limit < 1 then return log.length end
  if log.count < log.limit then return 0 end
  local leaving = log.upto - log.limit
  local low, high = 0, redis.call('LLEN', log.key) - 1
  while low < high do
    local middle = math.ceil((low + high) / 2)
    local _, before = parse(redis.call('LINDEX', log.key, middle))
    if before <= leaving then low = middle else high = middle - 1 end
  end
  return math.max((parse(redis.call('LINDEX', log.key, low))) + log.length - now, 1)
end

-- Tokens in the current window of a kind. Where the clock was put back by less than a window, the one begun goes on.
local function spent_of(subject, kind, now)
  local start, over = span(kind, math.floor(now / 1000000))
  local found = redis.call('HMGET', subject, kind .. ':start', kind .. ':used', kind .. ':held')
  local known = tonumber(found[1])
  if known and known > start and known <= over then
    start, over = span(kind, known)
  end
  local spent = {kind = kind, start = start, over = over, used = 0, held = 0}
  if known == start then
    spent.used, spent.held = tonumber(found[2]), tonumber(found[3])
  end
  return spent
end

local function save(subject, spent, now)
  local kind = spent.kind
  redis.call('HSET', subject, kind .. ':start', spent.start, kind .. ':used', spent.used, kind .. ':held', spent.held)
  keep(subject, spent.over * 1000 - now / 1000 + 1000)
end

-- Change what is used or held in those windows of a flight that have not ended.
local function change(subject, flight, what, tokens)
  for kind, start in pairs(flight.spans) do
    if tonumber(redis.call('HGET', subject, kind .. ':start')) == start then
      redis.call('HINCRBY', subject, kind .. ':' .. what, tokens)
    end
  end
end

-- Take off a request under way, and give back what it held. Nothing if it is not known.
local function land(subject, id)
  local text = redis.call('HGET', subject .. ':held', id)
  if not text then return nil end
  redis.call('HDEL', subject .. ':held', id)
  redis.call('ZREM', subject .. ':flights', id)
  local flight = cjson.decode(text)
  change(subject, flight, 'held', 0 - flight.tokens) -- never -0, which is no integer to Redis
  return flight
end

-- A request under way takes its place until its lease ends; what it holds is counted by the caller.
local function launch(subject, id, flight, now, lease)
  redis.call('ZADD', subject .. ':flights', now + lease, id)
  redis.call('HSET', subject .. ':held', id, cjson.encode(flight))
  local longest = math.max(redis.call('PTTL', subject), lease / 1000)
  keep(subject .. ':flights', longest)
  keep(subject .. ':held', longest)
end

-- Give back what requests hold whose lease has ended, remembering them: they may still be settled.
local function end_leases(subject, now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', subject .. ':flights', '-inf', now, 'LIMIT', 0, 100)) do
    local text = redis.call('HGET', subject .. ':held', id)
    if land(subject, id) then
      redis.call('SET', subject .. ':lost:' .. id, text, 'PX', LOST_MS)
    end
  end
end

-- Everything that is counted for a subject: {requests, tokens, concurrent}.
local function bucket_of(subject, asked, now)
  end_leases(subject, now)
  local bucket = {subject = subject, asked = asked, logs = {}, spent = {}}
  for n, rule in ipairs(asked.requests) do
    bucket.logs[n] = log_of(subject, rule, now)
  end
  for n, rule in ipairs(asked.tokens) do
    bucket.spent[n] = spent_of(subject, rule[1], now)
  end
  bucket.in_flight = redis.call('ZCARD', subject .. ':flights')
  return bucket
end

local function report(reply, bucket, now)
  table.insert(reply, bucket.in_flight)
  for _, log in ipairs(bucket.logs) do
    table.insert(reply, log.count)
    table.insert(reply, log.oldest and log.oldest + log.length - now or 0)
    table.insert(reply, frees(log, now))
  end
  for _, spent in ipairs(bucket.spent) do
    table.insert(reply, spent.used)
    table.insert(reply, spent.held)
    table.insert(reply, spent.over * 1000000 - now)
  end
end

-- Whether a gateway has told all that it knows; not so where Redis has been emptied since.
local function is_known(marker)
  return redis.call('EXISTS', marker) == 1
end
