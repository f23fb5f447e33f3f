"""What hyperinfer takes away from an engine: tokens a second and time to first token, beside the engine asked directly."""
