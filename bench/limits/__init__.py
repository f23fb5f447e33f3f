"""What limits cost."""
