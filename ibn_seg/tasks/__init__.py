"""Tasks: functions that build mmengine's Runner from a config and run it; no argument parsing."""
