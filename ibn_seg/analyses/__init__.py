"""What is measured on trained networks: one folder each, found through one table."""
