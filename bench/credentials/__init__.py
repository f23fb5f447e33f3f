"""What it costs a gateway to tell whose a credential is."""
