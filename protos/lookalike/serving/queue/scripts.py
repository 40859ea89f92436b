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

# KEYS: stream, bytes, attempts, versions, job, job events.
# ARGV: group, entry id, size, version, job's time to live in ms (0: no job),
# most events of a job, collection, result. Returns 0 when the entry had ended.
FINISH = """#!lua flags=allow-oom
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('DECRBY', KEYS[2], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[4])
if ARGV[5] ~= '0' then
  redis.call('HINCRBY', KEYS[5], 'ended', 1)
  redis.call('PEXPIRE', KEYS[5], ARGV[5])
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[6], '*', 'u', ARGV[7], 'r', ARGV[8])
  redis.call('PEXPIRE', KEYS[6], ARGV[5])
end
return 1
"""

# KEYS: as FINISH, then dead stream, dead entry, dead bytes. ARGV: as FINISH, then
# most dead bytes, and the listing's fields. The version stays noted: trying again
# brings it back. Past the bound the failure is listed without what it would take
# to try again.
GIVE_UP = """#!lua flags=allow-oom
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
local row = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('DECRBY', KEYS[2], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[2])
local kept = tonumber(redis.call('GET', KEYS[9]) or '0')
if #row > 0 and kept + tonumber(ARGV[3]) <= tonumber(ARGV[9]) then
  redis.call('HSET', KEYS[8], unpack(row[1][2]))
  redis.call('INCRBY', KEYS[9], ARGV[3])
else
  redis.call('ZREM', KEYS[4], ARGV[4])
end
redis.call('XADD', KEYS[7], '*', unpack(ARGV, 10))
if ARGV[5] ~= '0' then
  redis.call('HINCRBY', KEYS[5], 'ended', 1)
  redis.call('PEXPIRE', KEYS[5], ARGV[5])
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[6], '*', 'u', ARGV[7], 'r', ARGV[8])
  redis.call('PEXPIRE', KEYS[6], ARGV[5])
end
return 1
"""

# KEYS: stream, attempts. ARGV: group, consumer, entry id. Counted before the try,
# so that an entry that takes its worker along is counted too.
BEGIN_ATTEMPT = """#!lua flags=allow-oom
local mine = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if #mine == 0 then return 0 end
return redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
"""

# KEYS: attempts. ARGV: entry id.
TAKE_BACK_ATTEMPT = """#!lua flags=allow-oom
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
"""

# KEYS: stream, this worker. ARGV: group, consumer, time to live in ms, count of
# state fields and values, the state, then the ids held. Claiming one's own entries
# again shows others that they are in work; JUSTID leaves the delivery count alone.
BEAT = """#!lua flags=allow-oom
local now = redis.call('TIME')
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'time_ms', now[1] * 1000 + math.floor(now[2] / 1000),
           unpack(ARGV, 5, 4 + ARGV[4]))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if #ARGV == 4 + ARGV[4] then return 0 end
local held = {}
for at = 5 + ARGV[4], #ARGV do held[ARGV[at]] = true end
local refresh = {}
local mine = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 10000, ARGV[2])
for _, row in ipairs(mine) do
  if held[row[1]] then table.insert(refresh, row[1]) end
end
for at = 1, #refresh, 1000 do
  local last = math.min(at + 999, #refresh)
  local command = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(refresh, at, last)}
  table.insert(command, 'JUSTID')
  redis.call(unpack(command))
end
return #refresh
"""

# KEYS: stream, another worker. ARGV: group, consumer. Only one that is dead and
# has nothing pending: dropping a consumer drops what it has pending.
DROP_CONSUMER = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
"""
