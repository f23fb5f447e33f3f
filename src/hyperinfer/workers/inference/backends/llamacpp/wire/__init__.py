"""The engine's own HTTP interface: what it is sent, what it says of itself and answers, and its errors as ours."""
