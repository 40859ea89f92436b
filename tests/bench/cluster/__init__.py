"""What a cluster adds: to a query, to a write, and to a node's death. `make bench-cluster`."""
