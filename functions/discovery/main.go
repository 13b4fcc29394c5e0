// Command discovery answers what verifiers and clients look up: metadata, keys, the Org CA's certificates.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Discovery) }
