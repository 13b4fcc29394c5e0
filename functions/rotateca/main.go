// Command rotateca answers /pki/rotate-ca.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.RotateCA) }
