"""What the gateway costs: requests a second, added latency and CPU per request, before an echo backend."""
