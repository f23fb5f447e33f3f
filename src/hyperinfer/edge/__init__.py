"""HTTP at the edge: ASGI routes written against the gateway contract."""
