"""Several tasks in one command, and the page such a run ends with."""
