package catalog_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
)

func addTarget(t testing.TB, db *catalog.DB, name string) {
	t.Helper()
	if err := db.CreateTarget(t.Context(), newTarget(name)); err != nil {
		t.Fatal(err)
	}
}

func newTarget(name string) *shield.Target {
	return &shield.Target{Meta: shield.Meta{Name: name}, Plugin: "fs", Endpoint: shield.Endpoint("{}")}
}

func wantTarget(t testing.TB, db *catalog.DB, name string) {
	t.Helper()
	if _, err := db.Target(t.Context(), name); err != nil {
		t.Error(err)
	}
}

func wantCode(t testing.TB, err error, code shield.Code, texts ...string) {
	t.Helper()
	if shield.CodeOf(err) != code {
		t.Fatalf("error is %v, want code %q", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func TestPragmas(t *testing.T) {
	db := mustOpen(t, filepath.Join(t.TempDir(), "shield.db"))
	for _, want := range []struct{ pragma, writer, reader string }{
		{"journal_mode", "wal", "wal"},
		{"synchronous", "2", "2"},
		{"busy_timeout", "5000", "5000"},
		{"foreign_keys", "1", "1"},
		{"trusted_schema", "0", "0"},
		{"query_only", "0", "1"},
		{"application_id", fmt.Sprint(catalog.ApplicationID), fmt.Sprint(catalog.ApplicationID)},
	} {
		writer, reader, err := db.Pragma(want.pragma)
		if err != nil || writer != want.writer || reader != want.reader {
			t.Errorf("%s is %s and %s (error %v), want %s and %s", want.pragma, writer, reader, err, want.writer, want.reader)
		}
	}
	wantCode(t, db.CheckSettings(), shield.Internal, "synchronous")
	if err := db.ReaderExec("DELETE FROM targets"); err == nil {
		t.Error("a reader writes")
	}
}

func TestOpenMakesPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "we?ird #%41 'n\"ame&mode=ro")
	db := mustOpen(t, path)
	addTarget(t, db, "a")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", suffix, info.Mode())
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantTarget(t, mustOpen(t, path), "a")
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || !strings.HasPrefix(entries[0].Name(), filepath.Base(path)) {
		t.Errorf("folder holds %v, error %v", entries, err)
	}
}

func TestOpenRefusesForeignFiles(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	execSQL(t, foreign, "CREATE TABLE mine (x)")
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		code shield.Code
		text string
	}{
		{foreign, shield.Invalid, "not a catalog"},
		{garbage, shield.Invalid, "not an SQLite database"},
		{"", shield.Invalid, "missing"},
		{"a\x00b", shield.Invalid, "UTF-8"},
		{t.TempDir(), shield.Unavailable, "directory"},
		{filepath.Join(t.TempDir(), "no", "such", "folder"), shield.NotFound, "no such"},
	} {
		before, _ := os.ReadFile(test.path)
		_, err := catalog.Open(t.Context(), test.path, nil)
		wantCode(t, err, test.code, test.text)
		if after, _ := os.ReadFile(test.path); string(after) != string(before) {
			t.Errorf("%s was changed", test.path)
		}
	}
}

func execSQL(t testing.TB, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func TestOpenByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			db, err := catalog.Open(t.Context(), path, &catalog.Options{Readers: 1})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if err := db.CreateTarget(t.Context(), newTarget(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := mustOpen(t, path).Targets(t.Context(), shield.Filter{})
	if err != nil || len(list) != 6 {
		t.Errorf("%d targets from 6 catalogs on one file, error %v", len(list), err)
	}
}

func TestCopyTo(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "shield.db"), catalog.Memory} {
		db := mustOpen(t, path)
		addTarget(t, db, "a")
		dest := filepath.Join(t.TempDir(), "it's a copy.db")
		if err := db.CopyTo(t.Context(), dest); err != nil {
			t.Fatal(err)
		}
		wantCode(t, db.CopyTo(t.Context(), dest), shield.Conflict, dest)
		addTarget(t, db, "b")
		copied := mustOpen(t, dest)
		wantTarget(t, copied, "a")
		if _, err := copied.Target(t.Context(), "b"); !errors.Is(err, shield.NotFound) {
			t.Errorf("the copy has what was written after it: %v", err)
		}
		if info, err := os.Stat(dest); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("copy has mode %v, want 0600", info.Mode())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		dir := t.TempDir()
		wantCode(t, db.CopyTo(ctx, filepath.Join(dir, "x")), shield.Canceled)
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("a canceled copy left %v", left)
		}
	}
}

// TestLockedByAnother checks that a write waits for another process, that its
// context ends the waiting, and that reads do not wait.
func TestLockedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	db := mustOpen(t, path)
	addTarget(t, db, "a")
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	wantTarget(t, db, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantCode(t, db.CreateTarget(ctx, newTarget("late")), shield.TimedOut)

	time.AfterFunc(100*time.Millisecond, func() { tx.Rollback() })
	addTarget(t, db, "b")
}
