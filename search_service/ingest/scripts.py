"""What must happen in one step on the queue's server.

Sent as text each time: the server knows them by their hash, and a restart that
forgets them changes nothing. Without `allow-oom` the server refuses a script
when it is out of memory, before it did anything.
"""

from __future__ import annotations

# KEYS: stream, bytes, versions, job. ARGV: most bytes, size, version, the job's
# time to live in ms (0: no job), then the entry's fields. An entry that is alone
# is taken whatever its size, or it would never pass.
APPEND = """#!lua
local queued = tonumber(redis.call('GET', KEYS[2]) or '0')
if queued + tonumber(ARGV[2]) > tonumber(ARGV[1]) and redis.call('XLEN', KEYS[1]) > 0 then
  return 'FULL'
end
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
redis.call('INCRBY', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[3])
if ARGV[4] ~= '0' then
  redis.call('HINCRBY', KEYS[4], 'accepted', 1)
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return id
"""

# KEYS: dead stream, dead entry, dead bytes, stream, bytes, job.
# ARGV: failure id, most bytes, the job's time to live in ms (0: no job).
RETRY = """#!lua
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 'MISSING' end
local fields = redis.call('HGETALL', KEYS[2])
if #fields == 0 then return 'MISSING' end
local size = tonumber(redis.call('HGET', KEYS[2], 'n') or '0')
local queued = tonumber(redis.call('GET', KEYS[5]) or '0')
if queued + size > tonumber(ARGV[2]) and redis.call('XLEN', KEYS[4]) > 0 then return 'FULL' end
redis.call('XADD', KEYS[4], '*', unpack(fields))
redis.call('INCRBY', KEYS[5], size)
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('DECRBY', KEYS[3], size)
if ARGV[3] ~= '0' then
  redis.call('HINCRBY', KEYS[6], 'accepted', 1)
  redis.call('PEXPIRE', KEYS[6], ARGV[3])
end
return 'OK'
"""

# KEYS: dead stream, dead entry, dead bytes, versions. ARGV: failure id, version.
FORGET = """#!lua flags=allow-oom
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
local size = tonumber(redis.call('HGET', KEYS[2], 'n') or '0')
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('DECRBY', KEYS[3], size)
return 1
"""

# KEYS: stream, bytes, dead stream. ARGV: group. Returns depth, counted bytes,
# failures, pending, time in ms, id of the oldest entry or ''. An empty queue
# holds no bytes, whatever was counted: a counter that went wrong mends itself.
STATUS = """#!lua flags=allow-oom
local depth = redis.call('XLEN', KEYS[1])
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0')
if depth == 0 and bytes ~= 0 then
  redis.call('DEL', KEYS[2])
  bytes = 0
end
local pending = 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    for at = 1, #group, 2 do
      if group[at] == 'name' and group[at + 1] ~= ARGV[1] then break end
      if group[at] == 'pending' then pending = group[at + 1] end
    end
  end
end
local oldest = ''
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if #first > 0 then oldest = first[1][1] end
local now = redis.call('TIME')
return {depth, bytes, redis.call('XLEN', KEYS[3]), pending,
        now[1] * 1000 + math.floor(now[2] / 1000), oldest}
"""
