"""A page to look, search and review, and a JSON API: an HTTP server beside the services.

It speaks gRPC to the search service by the SDK and keeps nothing on the disk. The page is
plain modules and styles, read from this package when the server starts.
"""
