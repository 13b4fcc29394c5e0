// Command startup runs once a deployment, before it takes traffic, and fails it with the reason if it could not work.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Startup) }
