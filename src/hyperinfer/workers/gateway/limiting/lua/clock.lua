-- Microseconds since the epoch by Redis' own clock, so that the clocks of gateways do not matter.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
