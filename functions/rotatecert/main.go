// Command rotatecert answers POST /registry/agents/{agent_id}/rotate-cert.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.RotateCert) }
