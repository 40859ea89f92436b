"""What is tuned in a search, with what each number was measured by or follows from.

What is in a graph is walked; what is not is compared, in float32 or in the compact
form; the best of both are ranked by exact cosines. These numbers say how many.
"""

from __future__ import annotations

# --- Exact scan or graph ---

# Matches up to here are compared in float32, exactly: 4,096 x 512 is 8 MB, which many
# queries read together.
MAX_GATHERED = 4_096
# For few queries at a time, what meets up to so many, or few times as many as are wanted.
# 1,000 matches x 512 took 0.25 ms, and 0.08 in the compact form, with the same hits.
MAX_GATHERED_ALONE = 512
GATHERED_FOR_EACH = 4
# Past this many candidates a query, or this share of the nodes, a scan is cheaper.
MAX_FETCH = 4_096
MAX_FETCH_SHARE = 0.05

# --- Walks through a graph ---

# Candidates fetched beyond what is asked for, so that exact re-ranking can give
# back what a short or quantised form of the vectors lost.
OVERFETCH = 3.0
OVERFETCH_MORE = 32
# Of a graph's candidates, the nearer ones among which none is missing: towards the
# end of its list rows are, and a filter that excludes all but that end would show
# it (20,000 x 512, the nearest tenth excluded: recall@10 .977 with the whole list).
SURE_SHARE = 0.5
# A walk that keeps `expansion` nodes compares 20 (of 256) to 29 (of 64) times as many
# (tests/bench/search/walk.py, 200,000 nodes with 32 links), and when a filter keeps a
# share of them, the more: one over the root of the share.
WALK_COMPARISONS = 21
# What a comparison costs a walk, in those of a scan, which goes through the memory:
# about 70 ns and 38 ns (100,000 x 512, 256 bytes each).
WALK_COST = 2
# A walk that needs so many times what it should is given up for a scan: its filter
# keeps what is far from the query, and sends it through all that is near. That shows
# early: otherwise each match that it reaches is kept, until it has enough.
MOST_WALK = 2.0
PATIENCE = 4.0
MORE = 1_000  # comparisons on the way there

# --- Scans in the compact form: rows re-ranked for each that is wanted, and besides ---

# In the head. Without a filter a scan finds what is near the query.
RERANKED = 16
NEAR_RERANKED_MORE = 256
# Past a filter a scan meets what is far from a query too, where many lie at about the
# same distance and the compact form mistakes more of them: of 200,000, the farthest half
# and tenth, recall@10 was .93 with 3k + 32.
MATCHES_RERANKED_MORE = 1_024
# In a segment as many as it takes (`search_service/segments/codes.py`), but no more than
# this: of the farthest half of 100,000, the query that took most compared 600.
MOST_RERANKED_MORE = 4_096
# Rows that a scan re-ranks at a time: their numbers and scores take 3 MiB.
RERANKED_AT_A_TIME = 1 << 18
# Of so many rows in the head, those re-ranked are a small part; more queries than that
# share a product in float32.
LEAST_HEAD_ROWS = 2_048
MOST_HEAD_QUERIES = 16

# --- Scans in float32 ---

# Rows in one matrix product: 32 MiB of rows at 512 dimensions.
ROWS_PER_PRODUCT = 16_384
# Rows gathered for one, which stay in a core's cache: 2 MiB at 512 dimensions.
ROWS_PER_GATHER = 1_024
# Past this share of rows, to compare all costs less than to gather these: a
# gathered row is copied at about a quarter of the speed of a product.
DENSE_SHARE = 0.3
# Up to so many queries, gathered rows are compared where they are; for more, a copy of
# them and a matrix product cost less.
FEW_QUERIES = 4

# --- Threads ---

# A scan for one query in the compact form is shared from so many nodes on: they take about
# a millisecond, and a hand-over to another thread a tenth of that, or more beside other work.
LEAST_SHARED = 32_768

# Walks differ in length: parts smaller than a thread's share leave less to wait for
# at the end.
PARTS_A_THREAD = 4

# --- Pages ---

# What stands before a page is ranked again with it, and so many more rows: they make room
# for what was stored meanwhile, and a walk for more rows misses less. What it misses on one
# page has its place before the next, and would not come at all: of the first 300 hits (30
# pages; 30,000 x 128, 40 queries) the pages held at least .980 with 64 more, .993 with 256.
PAGE_MORE_ROWS = 256

# --- Answers without a hand-over ---

# What holds up an event loop for longer goes to another thread: as long as the
# hand-over of a busy interpreter takes (its switch interval) a few times over.
LONGEST_HERE_S = 0.003
# Of a query's time, in the running mean of those before it.
LONE_SHARE = 0.2

# --- Group-by ---

# Rows ranked for each hit wanted, at first: similar items tend to share values.
FIRST_ROWS = 4
# How many times more where these were not enough.
MORE_ROWS = 4
# With this share of the items in groups, what is near is ranked, and the rest passed over.
NEARLY_ALL = 0.5
# Rows of all queries that are ranked at a time: with what they hold, about 200 MB.
MOST_RANKED = 1 << 22
# To search for the best of one value costs about as much as to compare so many rows.
ROWS_A_VALUE = 10_000


def walked(count: int) -> int:
    """Return how many candidates to ask a graph for, so that the best `count` are among them."""
    return int(count * OVERFETCH) + OVERFETCH_MORE


def rows_of_page(rank: int, limit: int) -> int:
    """Return how many rows to rank, at first, for a page of `limit` hits after `rank` others."""
    return rank + limit + PAGE_MORE_ROWS


def gathered(count: int, queries: int) -> int:
    """Return up to how many matches are compared exactly, rather than in a compact form."""
    if queries <= FEW_QUERIES:
        return max(MAX_GATHERED_ALONE, GATHERED_FOR_EACH * count)
    return max(MAX_GATHERED, reranked(count, MATCHES_RERANKED_MORE))


def reranked(count: int, more: int) -> int:
    """Return how many rows of a compact scan to compare exactly for the best `count`."""
    return count * RERANKED + more
