// Command status publishes which access tokens died before their time.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Status) }
