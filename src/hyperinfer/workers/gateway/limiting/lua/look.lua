-- How subjects stand. KEYS: the gateway's marker, subjects. ARGV: {subjects: [{requests, tokens, concurrent}]}.
if not is_known(KEYS[1]) then return {-1} end
local now, reply = clock(), {1}
for n, rules in ipairs(cjson.decode(ARGV[1]).subjects) do
  report(reply, bucket_of(KEYS[n + 1], rules, now), now)
end
return reply
