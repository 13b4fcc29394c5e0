// Command audit exports the audit trail: rows, the ends of chains, and bundles that an auditor verifies offline.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Audit) }
