"""The command line: a table of verbs, flags made from the tasks, lists, citations."""
