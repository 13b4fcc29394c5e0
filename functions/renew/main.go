// Command renew answers /v1/agent/renew, /v1/agent/renewal-info and /.well-known/est/simplereenroll.
package main

import (
	"github.com/digitorus/pkcs7"

	"github.com/mastio-aws/mastio/shared/boot"
)

func main() { boot.Serve(boot.Renew(pkcs7.DegenerateCertificate)) }
