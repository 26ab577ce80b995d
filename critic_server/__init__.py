"""The LRM critic as a reward server: rubric, judge back ends, cache. Floor 3: imports floors 0-2."""
