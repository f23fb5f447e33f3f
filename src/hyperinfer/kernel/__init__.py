"""The base worker: configuration, identity, lifecycle, dispatch and process run."""
