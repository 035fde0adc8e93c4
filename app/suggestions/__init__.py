"""What people search for: queries counted in aggregate, completions of what is being typed, hot queries."""
