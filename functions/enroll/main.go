// Command enroll answers /v1/admin/agents.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Enroll) }
