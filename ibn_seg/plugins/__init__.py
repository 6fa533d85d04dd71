"""Registration with host frameworks; importing a module here registers its parts."""
