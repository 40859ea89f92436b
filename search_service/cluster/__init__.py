"""Collections that are divided over the nodes of a Ray cluster and kept there in copies.

A collection has partitions, a partition has replicas, and a replica is a `Shard` in an
actor. Each partition has a log in Redis, which orders its changes; replicas follow it.
"""
