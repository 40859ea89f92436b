"""What the log's Redis runs at once; why, stands in `log.py`. Numbers stay below 2**53."""

# KEYS: counter, stream. ARGV: run, entries.
APPEND = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if run ~= ARGV[1] then return redis.error_reply('OTHERRUN ' .. run) end
local before = '0'
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then before = string.match(info[i + 1], '^%d+') end
  end
end
local count = #ARGV - 1
local first = redis.call('INCRBY', KEYS[1], count) - count + 1
for i = 1, count do
  local position = string.format('%.0f', first + i - 1)
  redis.call('XADD', KEYS[2], position .. '-0', 'b', before, 'm', ARGV[i + 1])
  before = position
end
return string.format('%.0f', first)
"""

# KEYS: counter. ARGV: run, how many.
RESERVE = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if run ~= ARGV[1] then return redis.error_reply('OTHERRUN ' .. run) end
local count = tonumber(ARGV[2])
return string.format('%.0f', redis.call('INCRBY', KEYS[1], count) - count + 1)
"""

# KEYS: counter, streams. ARGV: least value of the counter, least last id of each stream.
RAISE = """
local counter = tonumber(redis.call('GET', KEYS[1]) or '0')
if counter < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
for i = 2, #KEYS do
  local last = 0
  if redis.call('EXISTS', KEYS[i]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[i])
    for j = 1, #info, 2 do
      if info[j] == 'last-generated-id' then
        last = tonumber(string.match(info[j + 1], '^%d+'))
      end
    end
  end
  if last < tonumber(ARGV[i]) then
    redis.call('XADD', KEYS[i], ARGV[i] .. '-0', 'b', '0', 'm', '')
    redis.call('XDEL', KEYS[i], ARGV[i] .. '-0')
  end
end
return 1
"""

# KEYS: stream. ARGV: first position.
COUNT = """
return #redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', '+', 'COUNT', 10000)
"""
