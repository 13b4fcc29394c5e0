// Command events passes on what is committed to the audit trail, from its stream, to an event bus.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Events) }
