// Command checkpoint seals the audit trail: on a schedule, and when an operator asks.
package main

import (
	"github.com/mastio-aws/mastio/shared/boot"
	"github.com/mastio-aws/mastio/shared/edge/tsa"
)

func main() { boot.Serve(boot.Checkpoint(tsa.At)) }
