"""How good: scores and labels in, numbers with intervals out; nothing here knows a finder."""
