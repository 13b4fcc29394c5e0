// Package version says which build this is.
package version

// Stamp is set by the linker to what git describe says of the checkout: a tag, or tag-commits-hash, with -dirty after
// it where files were changed.
var Stamp = "dev"
