"""What users rely on, as it was recorded: identities, options, configs, exported tables."""
