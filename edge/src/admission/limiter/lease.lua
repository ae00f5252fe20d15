-- Leases tokens from a project's two buckets, all that is needed or nothing, on Redis' own clock.
-- KEYS[1]  their hash: requests, events (parts of a token), at (microseconds)
-- ARGV     per minute, burst, needed, wanted: of requests, then of events; then how long the hash is kept (ms)
-- Returns  granted requests, granted events, and what is left of each in parts.
-- A rate of n a minute adds n parts a microsecond.
local TOKEN = 60000000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local stored = redis.pcall('HMGET', KEYS[1], 'requests', 'events', 'at')
if stored.err then
  -- Something else stands under our key: begin anew.
  redis.call('DEL', KEYS[1])
  stored = {}
end
local at = tonumber(stored[3] or nil) or now
-- A clock that went back (another Redis took over) adds nothing.
local elapsed = math.max(0, now - at)

local function level(field, per_minute, burst)
  local before = tonumber(field or nil) or burst * TOKEN
  return math.min(burst * TOKEN, math.max(0, before) + elapsed * per_minute)
end

local requests = level(stored[1], tonumber(ARGV[1]), tonumber(ARGV[2]))
local events = level(stored[2], tonumber(ARGV[5]), tonumber(ARGV[6]))
local granted_requests, granted_events = 0, 0
if requests >= tonumber(ARGV[3]) * TOKEN and events >= tonumber(ARGV[7]) * TOKEN then
  granted_requests = math.min(tonumber(ARGV[4]), math.floor(requests / TOKEN))
  granted_events = math.min(tonumber(ARGV[8]), math.floor(events / TOKEN))
  requests = requests - granted_requests * TOKEN
  events = events - granted_events * TOKEN
end

local function text(number)
  return string.format('%.0f', number)
end
redis.call('HSET', KEYS[1], 'requests', text(requests), 'events', text(events), 'at', text(now))
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return { granted_requests, granted_events, requests, events }
