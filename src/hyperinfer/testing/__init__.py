"""Fakes and the local testnet, shipped with the product."""
