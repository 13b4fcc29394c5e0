// Command token answers POST /v1/auth/token.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Token) }
