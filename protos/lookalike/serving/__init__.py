"""What every server of the system shares: lifecycle, health, errors, logs, metrics."""
