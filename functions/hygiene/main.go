// Command hygiene runs on a schedule: it replaces agents' certificates that have grown old, or has their operators told.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Hygiene) }
