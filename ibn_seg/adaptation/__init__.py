"""Test-time methods: they see images of the target, so their rows stand apart in every table."""
