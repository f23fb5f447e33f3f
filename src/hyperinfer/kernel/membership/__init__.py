"""Membership on this machine: the epoch, the member list as a file, invites, joining, and following what auth says."""
