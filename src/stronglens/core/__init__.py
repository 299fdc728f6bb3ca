"""What everything else stands on: tasks, run directories, registries, seeds, weights."""
