package upload

// Policies is how many rows the table of warnings has.
func Policies() int { return len(policies) }
