"""What the bridge costs: added latency and CPU per request, over asking the gateway directly."""
