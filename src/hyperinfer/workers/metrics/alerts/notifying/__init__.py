"""Telling people of alerts: by webhook, by e-mail, and always in the log."""
