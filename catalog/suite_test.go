package catalog_test

import (
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/catalog/catalogtest"
)

func TestSuite(t *testing.T) {
	catalogtest.Run(t, func(t testing.TB) shield.Catalog {
		return mustOpen(t, filepath.Join(t.TempDir(), "shield.db"))
	})
}

func TestSuiteInMemory(t *testing.T) {
	catalogtest.Run(t, func(t testing.TB) shield.Catalog { return mustOpen(t, catalog.Memory) })
}

func mustOpen(t testing.TB, path string) *catalog.DB {
	t.Helper()
	db, err := catalog.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
