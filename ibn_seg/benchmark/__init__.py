"""The benchmark's plan, its cells and the folder of their results; nothing here trains."""
