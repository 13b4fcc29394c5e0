package httpapi

// Harmless is what a field of a spreadsheet becomes.
func Harmless(field string) string { return harmless(field) }
