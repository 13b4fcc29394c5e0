// Command healthz answers GET /healthz and GET /metrics.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Healthz) }
