// Package localstack holds the npm lock that pins what the local run installs besides Go modules.
package localstack

import _ "embed"

// PackageJSON and PackageLock pin DynamoDB Local by integrity hash. The lock names no registry host, so npm
// fetches from whichever one its user has configured.
var (
	//go:embed package.json
	PackageJSON []byte
	//go:embed package-lock.json
	PackageLock []byte
)
