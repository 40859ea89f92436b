"""What the page asks for: short answers, made for it. Programs take the API instead."""
