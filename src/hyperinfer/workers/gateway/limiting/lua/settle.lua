-- A request has ended. KEYS: the gateway's marker, subjects. ARGV: {id, tokens}. Settling it again changes nothing.
if not is_known(KEYS[1]) then return {-1} end
local asked = cjson.decode(ARGV[1])
for n = 2, #KEYS do
  local subject = KEYS[n]
  local lost = subject .. ':lost:' .. asked.id
  local flight = land(subject, asked.id)
  local text = not flight and redis.call('GET', lost)
  if text then
    redis.call('DEL', lost)
    flight = cjson.decode(text)
  end
  if flight then
    change(subject, flight, 'used', asked.tokens)
  end
end
return {1}
