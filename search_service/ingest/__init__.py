"""The front door of ingestion: takes mutations into the queue and tells how they fare."""
