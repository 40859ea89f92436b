"""Which labels items might have, and which labels might be wrong."""
