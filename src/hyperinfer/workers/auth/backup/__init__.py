"""Backups of auth: its rows and its secrets in one file, from one moment, for either kind of database."""
