"""What is built directly on the contract: errors, vectors, channels.

No service code is imported here; `errors` and `vectors` know no gRPC either.
"""
