"""Re-identification data sets as downloaded, one file each; `all_sets` has their table."""
