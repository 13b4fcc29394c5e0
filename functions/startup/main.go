// Command startup runs once per deployment, before the deployment takes traffic. If the Mastio could not work, it
// fails the deployment with the reason.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Startup) }
