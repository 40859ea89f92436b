"""Moving a collection to another model: pictures that it lacks, and how its answers differ."""
