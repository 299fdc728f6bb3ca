"""How many lenses a survey should hold: population, observation and cuts of Collett 2015."""
