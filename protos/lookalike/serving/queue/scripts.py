"""What must happen in one step on the queue's server.

Sent as text each time: the server knows them by their hash, and a restart that
forgets them changes nothing. Without `allow-oom` the server refuses a script
when it is out of memory, before it did anything.
"""

from __future__ import annotations

# KEYS: lane, bytes, versions, job. ARGV: most bytes, size, version, the job's
# time to live in ms (0: no job), then the entry's fields. An entry that is alone
# is taken whatever its size, or it would never pass. Returns the entry's id.
APPEND = """#!lua
local queued = tonumber(redis.call('GET', KEYS[2]) or '0')
if queued + tonumber(ARGV[2]) > tonumber(ARGV[1]) and queued > 0 then return 'FULL' end
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 5))
redis.call('INCRBY', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[3])
if ARGV[4] ~= '0' then
  redis.call('HINCRBY', KEYS[4], 'accepted', 1)
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return id
"""

# The same for an entry and its copy for the collection's twin: both are queued, or neither.
# KEYS: bytes, job, then lane and versions of each. ARGV: most bytes, their size, version,
# the job's time to live in ms (0: no job), how many values the first entry has, then the
# values of both. Returns their ids.
APPEND_BOTH = """#!lua
local queued = tonumber(redis.call('GET', KEYS[1]) or '0')
if queued + tonumber(ARGV[2]) > tonumber(ARGV[1]) and queued > 0 then return 'FULL' end
local last = 5 + tonumber(ARGV[5])
local ids = {redis.call('XADD', KEYS[3], '*', unpack(ARGV, 6, last)),
             redis.call('XADD', KEYS[5], '*', unpack(ARGV, last + 1))}
redis.call('INCRBY', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[3])
redis.call('ZADD', KEYS[6], ARGV[3], ARGV[3])
if ARGV[4] ~= '0' then
  redis.call('HINCRBY', KEYS[2], 'accepted', 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return ids
"""

# KEYS: bytes, dead stream, ended, then the lanes. ARGV: group. Returns depth,
# counted bytes, failures, pending, time in ms, id of the oldest entry or '', length
# of the list of what ended. An empty queue holds no bytes, whatever was counted: a
# counter that went wrong mends itself.
STATUS = """#!lua flags=allow-oom
local depth, pending, oldest, oldest_ms = 0, 0, '', nil
for at = 4, #KEYS do
  if redis.call('EXISTS', KEYS[at]) == 1 then
    depth = depth + redis.call('XLEN', KEYS[at])
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[at])) do
      for field = 1, #group, 2 do
        if group[field] == 'name' and group[field + 1] ~= ARGV[1] then break end
        if group[field] == 'pending' then pending = pending + group[field + 1] end
      end
    end
    local first = redis.call('XRANGE', KEYS[at], '-', '+', 'COUNT', 1)
    if #first > 0 then
      local ms = tonumber(string.match(first[1][1], '^%d+'))
      if not oldest_ms or ms < oldest_ms then oldest, oldest_ms = first[1][1], ms end
    end
  end
end
local bytes = tonumber(redis.call('GET', KEYS[1]) or '0')
if depth == 0 and bytes ~= 0 then
  redis.call('DEL', KEYS[1])
  bytes = 0
end
local now = redis.call('TIME')
return {depth, bytes, redis.call('XLEN', KEYS[2]), pending,
        now[1] * 1000 + math.floor(now[2] / 1000), oldest, redis.call('LLEN', KEYS[3])}
"""

# KEYS: the lanes. ARGV: group. Returns for each how many entries no worker has read.
UNREAD = """#!lua flags=allow-oom
local counts = {}
for at = 1, #KEYS do
  local unread = 0
  if redis.call('EXISTS', KEYS[at]) == 1 then
    unread = redis.call('XLEN', KEYS[at])
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[at])) do
      for field = 1, #group, 2 do
        if group[field] == 'name' and group[field + 1] ~= ARGV[1] then break end
        if group[field] == 'pending' then unread = unread - group[field + 1] end
      end
    end
  end
  counts[at] = math.max(0, unread)
end
return counts
"""

# KEYS: a lane. ARGV: ids of entries. Returns those that are not there.
MISSING = """#!lua flags=allow-oom
local missing = {}
for _, id in ipairs(ARGV) do
  if #redis.call('XRANGE', KEYS[1], id, id) == 0 then table.insert(missing, id) end
end
return missing
"""

# KEYS: lane, attempts. ARGV: group, consumer, entry id, attempts' field. Counted before the try,
# so that an entry that takes its worker along is counted too.
BEGIN_ATTEMPT = """#!lua flags=allow-oom
local mine = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if #mine == 0 then return 0 end
return redis.call('HINCRBY', KEYS[2], ARGV[4], 1)
"""

# KEYS: attempts. ARGV: the entry's field.
TAKE_BACK_ATTEMPT = """#!lua flags=allow-oom
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
"""

# KEYS: this worker. ARGV: time to live in ms, then state fields and values.
BEAT = """#!lua flags=allow-oom
local now = redis.call('TIME')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'time_ms', now[1] * 1000 + math.floor(now[2] / 1000), unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""

# KEYS: lane. ARGV: group, consumer, then the ids held. Claiming one's own entries
# again shows others that they are in work; JUSTID leaves the delivery count alone.
REFRESH = """#!lua flags=allow-oom
local held = {}
for at = 3, #ARGV do held[ARGV[at]] = true end
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

# KEYS: lane, another worker. ARGV: group, consumer. Only one that is dead and
# has nothing pending: dropping a consumer drops what it has pending.
DROP_CONSUMER = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
"""
