"""The methods that are compared: one file each, found by name through one table."""
