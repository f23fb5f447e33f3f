"""The ledger of usage: what gateways deliver, counted once, and the reports made of it."""
