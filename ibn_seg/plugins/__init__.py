"""Registration with host frameworks: importing a module here is what registers."""
