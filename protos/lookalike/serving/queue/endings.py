"""How a mutation ends, in one step each on the queue's server: applied, given up,
tried again, forgotten, or found to be gone. Sent as text, as `scripts` are.
"""

from __future__ import annotations

# An item is known by `jobs.item_of` in all of them.

# Takes a failure off the list with what is kept of it. An entry's own key follows
# from its listing; all keys share a hash tag.
_FORGET = """
local function forget(failure, dead, dead_bytes, versions, failed)
  local row = redis.call('XRANGE', dead, failure, failure)
  if #row == 0 then return 0 end
  local listed = {}
  for at = 1, #row[1][2], 2 do listed[row[1][2][at]] = row[1][2][at + 1] end
  local kept = dead .. ':' .. listed['e']
  redis.call('XDEL', dead, failure)
  redis.call('DECRBY', dead_bytes, tonumber(redis.call('HGET', kept, 'n') or '0'))
  redis.call('DEL', kept)
  redis.call('ZREM', versions, listed['v'] or '0')
  local item = listed['i']
  local mark = string.match(listed['j'] or '', '^(%x+):')
  if item and mark then item = mark .. '\\31' .. item end
  if item and redis.call('HGET', failed, item) == failure then
    redis.call('HDEL', failed, item)
  end
  return 1
end
-- What was given up of the same version was sent again: the same content, tried once
-- more. Returns how often it had been tried.
local function forget_upto(id, version, dead, dead_bytes, versions, failed)
  local failure = redis.call('HGET', failed, id)
  if not failure then return 0 end
  local row = redis.call('XRANGE', dead, failure, failure)
  local listed, tried = nil, 0
  if #row > 0 then
    for at = 1, #row[1][2], 2 do
      if row[1][2][at] == 'v' then listed = tonumber(row[1][2][at + 1]) end
      if row[1][2][at] == 'a' then tried = tonumber(row[1][2][at + 1]) end
    end
  end
  if listed and listed > tonumber(version) then return 0 end
  if forget(failure, dead, dead_bytes, versions, failed) == 0 then
    redis.call('HDEL', failed, id)
  end
  return listed == tonumber(version) and tried or 0
end
"""

# KEYS: dead stream, dead entry, dead bytes, lane, bytes, job, failed.
# ARGV: failure id, most bytes, the job's time to live in ms (0: no job), item id,
# duplicate policy (0: as submitted). Returns the new entry's id.
RETRY = """#!lua
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 'MISSING' end
local fields = redis.call('HGETALL', KEYS[2])
if #fields == 0 then return 'MISSING' end
local size = tonumber(redis.call('HGET', KEYS[2], 'n') or '0')
local queued = tonumber(redis.call('GET', KEYS[5]) or '0')
if queued + size > tonumber(ARGV[2]) and queued > 0 then return 'FULL' end
if ARGV[5] ~= '0' then
  local others = {}
  for at = 1, #fields, 2 do
    if fields[at] ~= 'p' then
      table.insert(others, fields[at])
      table.insert(others, fields[at + 1])
    end
  end
  table.insert(others, 'p')
  table.insert(others, ARGV[5])
  fields = others
end
local id = redis.call('XADD', KEYS[4], '*', unpack(fields))
redis.call('INCRBY', KEYS[5], size)
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('DECRBY', KEYS[3], size)
if redis.call('HGET', KEYS[7], ARGV[4]) == ARGV[1] then redis.call('HDEL', KEYS[7], ARGV[4]) end
if ARGV[3] ~= '0' then
  redis.call('HINCRBY', KEYS[6], 'accepted', 1)
  redis.call('PEXPIRE', KEYS[6], ARGV[3])
end
return id
"""

# KEYS: dead stream, dead bytes, versions, failed. ARGV: failure id.
FORGET = (
    "#!lua flags=allow-oom\n"
    + _FORGET
    + """
return forget(ARGV[1], KEYS[1], KEYS[2], KEYS[3], KEYS[4])
"""
)

# KEYS: lane, bytes, attempts, versions, job, job events, ended, failed, dead
# stream, dead bytes. ARGV: group, entry id, attempts' field, size, version, job's
# time to live in ms (0: no job), most events of a job, collection, result, item id,
# 1 where failures of the item up to this version are settled by this. Returns 0 when the entry
# had ended, or is gone: then the front door hears of it, and knows which it was.
FINISH = (
    "#!lua flags=allow-oom\n"
    + _FORGET
    + """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  redis.call('RPUSH', KEYS[7], ARGV[8] .. ' ' .. ARGV[5] .. ' ' .. ARGV[9])
  return 0
end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('DECRBY', KEYS[2], ARGV[4])
redis.call('HDEL', KEYS[3], ARGV[3])
redis.call('ZREM', KEYS[4], ARGV[5])
if ARGV[6] ~= '0' then
  redis.call('HINCRBY', KEYS[5], 'ended', 1)
  redis.call('PEXPIRE', KEYS[5], ARGV[6])
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[7], '*', 'u', ARGV[8], 'r', ARGV[9])
  redis.call('PEXPIRE', KEYS[6], ARGV[6])
end
redis.call('RPUSH', KEYS[7], ARGV[8] .. ' ' .. ARGV[5])
if ARGV[11] == '1' then
  forget_upto(ARGV[10], ARGV[5], KEYS[9], KEYS[10], KEYS[4], KEYS[8])
end
return 1
"""
)

# KEYS: as FINISH, then dead entry. ARGV: as FINISH up to the item id, then most
# dead bytes, and the listing's fields. The version stays noted: trying again brings
# it back. Past the bound the failure is listed without what it would take to try
# again. An older failure of the item gives way, and one of the same version, whose tries
# are counted on.
GIVE_UP = (
    "#!lua flags=allow-oom\n"
    + _FORGET
    + """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  redis.call('RPUSH', KEYS[7], ARGV[8] .. ' ' .. ARGV[5] .. ' ' .. ARGV[9])
  return 0
end
local row = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('DECRBY', KEYS[2], ARGV[4])
redis.call('HDEL', KEYS[3], ARGV[3])
local tried = forget_upto(ARGV[10], ARGV[5], KEYS[9], KEYS[10], KEYS[4], KEYS[8])
local kept = tonumber(redis.call('GET', KEYS[10]) or '0')
if #row > 0 and kept + tonumber(ARGV[4]) <= tonumber(ARGV[11]) then
  redis.call('HSET', KEYS[11], unpack(row[1][2]))
  redis.call('INCRBY', KEYS[10], ARGV[4])
  redis.call('ZADD', KEYS[4], ARGV[5], ARGV[5])
else
  redis.call('ZREM', KEYS[4], ARGV[5])
end
local listing = {unpack(ARGV, 12)}
for at = 1, #listing, 2 do
  if listing[at] == 'a' then listing[at + 1] = tonumber(listing[at + 1]) + tried end
end
local failure = redis.call('XADD', KEYS[9], '*', unpack(listing))
if ARGV[10] ~= '' then redis.call('HSET', KEYS[8], ARGV[10], failure) end
if ARGV[6] ~= '0' then
  redis.call('HINCRBY', KEYS[5], 'ended', 1)
  redis.call('PEXPIRE', KEYS[5], ARGV[6])
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[7], '*', 'u', ARGV[8], 'r', ARGV[9])
  redis.call('PEXPIRE', KEYS[6], ARGV[6])
end
redis.call('RPUSH', KEYS[7], ARGV[8] .. ' ' .. ARGV[5])
return 1
"""
)

# Ends a mutation whose entry is gone. KEYS: job, job events, dead stream, failed.
# ARGV: job's time to live in ms (0: no job), most events of a job, collection,
# result, item id, then the listing's fields or nothing. What the job has counted
# may be gone as well: then it is not counted down.
SETTLE = """#!lua flags=allow-oom
if #ARGV > 5 then
  local failure = redis.call('XADD', KEYS[3], '*', unpack(ARGV, 6))
  redis.call('HSET', KEYS[4], ARGV[5], failure)
end
if ARGV[1] ~= '0' then
  local counts = redis.call('HMGET', KEYS[1], 'accepted', 'ended')
  if tonumber(counts[1] or '0') > tonumber(counts[2] or '0') then
    redis.call('HINCRBY', KEYS[1], 'ended', 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
  end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'u', ARGV[3], 'r', ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return 1
"""
