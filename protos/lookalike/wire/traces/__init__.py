"""Traces of calls through all processes: off until a process says where they go."""
