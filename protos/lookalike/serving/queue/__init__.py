"""The ingestion queue: one data structure in Redis, its front door at one end,
its workers at the other.

`keys` names what is stored, `entries` says how a mutation is written down,
`scripts` and `endings` hold every change that touches more than one key,
`connection` reaches the server. With the default prefix the keys are:

    {lookalike}:queue             stream of accepted mutations that have not ended
    {lookalike}:queue:<n>         further ones, "lanes": jobs are spread over them
    {lookalike}:queue-bytes       counted bytes in all of them
    {lookalike}:attempts          hash: entry id -> times that it was tried alone
    {lookalike}:versions:<uid>    sorted set of a collection's versions that are
                                  queued or dead
    {lookalike}:dead              stream that lists the mutations given up
    {lookalike}:failed:<uid>      hash: item id -> its latest failure in `dead`
    {lookalike}:ended             list of what has ended and the front door's ledger
                                  has not taken note of
    {lookalike}:dead-bytes        counted bytes kept for trying them again
    {lookalike}:dead:<entry id>   hash: the entry itself, as it stood in the queue
    {lookalike}:job:<job>         hash: accepted, ended
    {lookalike}:job:<job>:events  stream of outcomes
    {lookalike}:worker:<name>     hash: a worker's sign of life, with a time to live

What always is true between two scripts:

1. An accepted mutation is in a lane, or it has ended, or it is listed in
   `dead`. Nothing is trimmed: an entry leaves by FINISH or GIVE_UP alone, which
   acknowledge and delete it in one step. So a lane holds exactly what is
   unfinished, and what no worker has read is its length less what is pending.
2. An entry ends once. FINISH and GIVE_UP change nothing when the entry was
   acknowledged before, so that repeating them is harmless.
3. `queue-bytes` is the sum of the field `n` over the lanes, `dead-bytes` over
   the `dead:<entry id>` hashes. The number travels with the entry, so that both
   ends count alike even when they are of different releases.
4. `versions:<uid>` holds at least every version of the collection that is in a
   lane or can be tried again from `dead`. Shards keep the tombstones from the
   least of them on: nothing that can still arrive undoes a delete. A version
   always stands for the same content.
5. `attempts` counts tries of an entry by itself, and is raised before the try, so
   that a try which takes its worker along is counted too. Redis' own delivery
   count is not used: it would also count a service that was away.
6. A worker refreshes the idle time of the entries that it has in hand, without a
   delivery (JUSTID). So only the entries of a dead worker grow old enough to be
   claimed, and a consumer is dropped only once it has nothing pending.
7. An outcome and the count `ended` of its job are written in one step: whoever
   reads `accepted` = `ended` finds every outcome in the events.
8. The front door keeps a ledger of what it accepted, apart from the server, and
   each end is told to it by `ended`: what is in the ledger and in no lane is lost,
   which only a server that forgets, or somebody who deletes, can bring about.
9. All mutations of an item stand in one lane while an earlier one of them does.
10. What frees memory runs when the server is out of memory (`allow-oom`); what
   takes memory is refused before it has changed anything.
"""
