// Command hygiene runs on a schedule: it replaces agents' certificates that are due, or notifies their operators.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Hygiene) }
