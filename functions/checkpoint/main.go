// Command checkpoint seals the audit trail: on a schedule, and when an operator asks.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Checkpoint) }
