"""The benchmark's plan, its cells and their results folder. Trainings run as commands."""
