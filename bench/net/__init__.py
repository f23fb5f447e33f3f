"""The net facility over real Hyperswarm on loopback, beside two bare Node processes."""
