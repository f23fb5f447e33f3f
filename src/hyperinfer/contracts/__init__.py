"""What workers and clients say to each other: frozen Structs and Method declarations, pure data."""
