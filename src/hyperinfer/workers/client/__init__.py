"""The client worker: a gateway's whole HTTP surface on the user's own machine, wherever the gateway is."""
