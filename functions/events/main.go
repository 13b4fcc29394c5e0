// Command events forwards committed rows of the audit trail from the table's stream to an event bus.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Events) }
