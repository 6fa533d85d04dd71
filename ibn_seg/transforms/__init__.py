"""Pipeline steps for urban scenes; importing a module here registers its transforms."""
