"""The API for those without gRPC: the contract's messages as JSON over HTTP."""
