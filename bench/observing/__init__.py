"""What it costs to see inside: the gateway's CPU for a request with metrics, request lines and traces on, against all of it off."""
