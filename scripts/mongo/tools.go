//go:build tools

// Package mongo pins the database tools of MongoDB that the tests of the
// plugin mongo run: see scripts/servers.
package mongo

import (
	_ "github.com/mongodb/mongo-tools/mongodump/main"
	_ "github.com/mongodb/mongo-tools/mongoexport/main"
	_ "github.com/mongodb/mongo-tools/mongoimport/main"
	_ "github.com/mongodb/mongo-tools/mongorestore/main"
)
