// Command discovery answers what verifiers and clients look up: metadata, keys, the Org CA's certificates.
package main

import (
	"github.com/digitorus/pkcs7"

	"github.com/mastio-aws/mastio/shared/boot"
)

func main() { boot.Serve(boot.Discovery(pkcs7.DegenerateCertificate)) }
