// Command standby runs on a schedule: it keeps the next Org CA, the truststore and the token keys ready.
package main

import "github.com/mastio-aws/mastio/shared/boot"

func main() { boot.Serve(boot.Standby) }
