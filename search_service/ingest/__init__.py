"""The front door of ingestion: takes mutations into the queue and reports what became of them."""
