"""From waiting requests to ranked hits."""
