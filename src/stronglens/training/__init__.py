"""Teaching networks and judging them: the tasks Train and Evaluate and what they stand on."""
