"""What the base worker lends every worker: net, store, cache, HTTP, log, metrics, clock."""
