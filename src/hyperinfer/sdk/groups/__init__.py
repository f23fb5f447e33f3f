"""What a client can do beside asking models, a file for each group of the HTTP API."""
