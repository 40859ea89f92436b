"""Which way of indexing suits a collection, from measured tables; no service is asked."""
