"""The demonstration: a whole system, photographs, three searches, a picture of the hits."""
