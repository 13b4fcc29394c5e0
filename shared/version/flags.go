package version

// variable is what the linker sets to the version: Stamp.
const variable = "github.com/mastio-aws/mastio/shared/version.Stamp"

// BuildFlags returns the flags of go build for every program that is deployed, released or run on one machine. Such a
// program has no path of the machine that built it, and its version is stamp; with an empty stamp it stays "dev".
// linker are further flags of the linker. With -buildid= among them two builds are bit-identical; without it go build
// recognises a program that is up to date. Nothing is compiled for a debugger: -s -w would drop it.
func BuildFlags(stamp string, linker ...string) []string {
	flags := "-s -w"
	for _, flag := range linker {
		flags += " " + flag
	}
	if stamp != "" {
		flags += " -X " + variable + "=" + stamp
	}
	return []string{"-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-gcflags", "all=-dwarf=false",
		"-ldflags", flags}
}
