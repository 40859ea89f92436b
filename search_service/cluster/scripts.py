"""What the log's Redis runs at once; why, stands in `log.py`. Numbers stay below 2**53."""

_RUN = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
"""

# KEYS[2] holds the run that the log was prepared for.
_PREPARED = (
    _RUN
    + """
if redis.call('GET', KEYS[2]) ~= run then return redis.error_reply('OTHERRUN ' .. run) end
"""
)

_LAST_OF = """
local function last_of(stream)
  if redis.call('EXISTS', stream) == 0 then return '0' end
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return string.match(info[i + 1], '^%d+') end
  end
end
local function lift(stream, position)
  if tonumber(last_of(stream)) < tonumber(position) then
    redis.call('XADD', stream, position .. '-0', 'b', '0', 'm', '')
    redis.call('XDEL', stream, position .. '-0')
  end
end
"""

# KEYS: counter, run, stream. ARGV: entries.
APPEND = (
    _PREPARED
    + _LAST_OF
    + """
local before = last_of(KEYS[3])
local first = redis.call('INCRBY', KEYS[1], #ARGV) - #ARGV + 1
for i = 1, #ARGV do
  local position = string.format('%.0f', first + i - 1)
  redis.call('XADD', KEYS[3], position .. '-0', 'b', before, 'm', ARGV[i])
  before = position
end
return string.format('%.0f', first)
"""
)

# KEYS: counter, run. ARGV: how many.
RESERVE = (
    _PREPARED
    + """
local count = tonumber(ARGV[1])
return string.format('%.0f', redis.call('INCRBY', KEYS[1], count) - count + 1)
"""
)

# KEYS: counter, run, streams. ARGV: the run that is met, "" for any; what the counter skips;
# least last position of each stream.
PREPARE = (
    _RUN
    + _LAST_OF
    + """
if ARGV[1] ~= '' and ARGV[1] ~= run then return redis.error_reply('OTHERRUN ' .. run) end
local counter = tonumber(redis.call('GET', KEYS[1]) or '0')
for i = 3, #KEYS do
  counter = math.max(counter, tonumber(ARGV[i]), tonumber(last_of(KEYS[i])))
  lift(KEYS[i], ARGV[i])
end
if redis.call('GET', KEYS[2]) ~= run then counter = counter + tonumber(ARGV[2]) end
redis.call('SET', KEYS[1], string.format('%.0f', counter))
redis.call('SET', KEYS[2], run)
return 1
"""
)

# KEYS: counter, run, stream. ARGV: position.
LIFT = (
    _PREPARED
    + _LAST_OF
    + """
lift(KEYS[3], ARGV[1])
return 1
"""
)

# KEYS: counter, run, stream.
LAST = (
    _PREPARED
    + _LAST_OF
    + """
return {last_of(KEYS[3]), redis.call('GET', KEYS[1]) or '0'}
"""
)

# KEYS: stream. ARGV: first position.
COUNT = """
return #redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', '+', 'COUNT', 10000)
"""

# KEYS: lock. ARGV: who holds it.
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""
