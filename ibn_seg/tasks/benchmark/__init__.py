"""Running a benchmark: its cells in processes of their own, here or where a launcher puts them."""
