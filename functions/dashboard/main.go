// Command dashboard answers /proxy: the operator's pages.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Dashboard) }
