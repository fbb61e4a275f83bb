"""What it costs and how well it answers, as printed tables."""
