"""What is compared: methods by name, one file each, found through one table."""
