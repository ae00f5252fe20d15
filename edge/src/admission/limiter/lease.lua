-- Leases tokens from a project's two buckets, all that is needed or nothing, on Redis' own clock.
-- KEYS[1]  hash of the project: requests, events (millionths of a token), at (microseconds)
-- ARGV     per second, burst, needed, wanted: of requests, then of events; then how long the hash is kept (ms)
-- Returns  granted requests, granted events, and what is left of each in millionths.
local MICRO = 1000000
local time = redis.call('TIME')
local now = tonumber(time[1]) * MICRO + tonumber(time[2])

local stored = redis.pcall('HMGET', KEYS[1], 'requests', 'events', 'at')
if stored.err then
  -- Something else stands under our key: begin anew.
  redis.call('DEL', KEYS[1])
  stored = {}
end
local at = tonumber(stored[3] or nil) or now
-- A clock that went back (another Redis took over) adds nothing.
local elapsed = math.max(0, now - at)

local function level(field, per_second, burst)
  local before = tonumber(field or nil) or burst * MICRO
  return math.min(burst * MICRO, math.max(0, before) + elapsed * per_second)
end

local requests = level(stored[1], tonumber(ARGV[1]), tonumber(ARGV[2]))
local events = level(stored[2], tonumber(ARGV[5]), tonumber(ARGV[6]))
local granted_requests, granted_events = 0, 0
if requests >= tonumber(ARGV[3]) * MICRO and events >= tonumber(ARGV[7]) * MICRO then
  granted_requests = math.min(tonumber(ARGV[4]), math.floor(requests / MICRO))
  granted_events = math.min(tonumber(ARGV[8]), math.floor(events / MICRO))
  requests = requests - granted_requests * MICRO
  events = events - granted_events * MICRO
end

local function text(number)
  return string.format('%.0f', number)
end
redis.call('HSET', KEYS[1], 'requests', text(requests), 'events', text(events), 'at', text(now))
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return { granted_requests, granted_events, requests, events }
