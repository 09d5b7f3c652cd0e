package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
)

func wantVersion(t testing.TB, path string, want int) {
	t.Helper()
	have, _, err := catalog.SchemaVersion(t.Context(), path)
	if err != nil || have != want {
		t.Errorf("schema version is %d, error %v; want %d", have, err, want)
	}
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	_, _, err := catalog.SchemaVersion(t.Context(), path)
	wantCode(t, err, shield.NotFound)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, path, 0)
	for range 2 {
		if err := catalog.Migrate(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		_, want, err := catalog.SchemaVersion(t.Context(), path)
		if err != nil || want < 1 {
			t.Fatalf("version %d is wanted, error %v", want, err)
		}
		wantVersion(t, path, want)
	}
	if left, _ := filepath.Glob(path + "*.bak"); len(left) > 0 {
		t.Errorf("copies %v of a catalog that was never upgraded", left)
	}
}

// TestUpgrade upgrades a catalog with data to two versions of the future, then
// opens it with the program of today.
func TestUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	db := mustOpen(t, path)
	addTarget(t, db, "a")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, now, err := catalog.SchemaVersion(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	// The second rebuilds a table that others refer to.
	err = catalog.MigrateWith(t.Context(), path, "CREATE TABLE new (x)",
		"CREATE TABLE t2 AS SELECT * FROM targets; DROP TABLE targets; ALTER TABLE t2 RENAME TO targets; CREATE UNIQUE INDEX u ON targets (uuid)")
	if err != nil {
		t.Fatal(err)
	}
	wantVersion(t, path, now+2)
	_, err = catalog.Open(t.Context(), path, nil)
	wantCode(t, err, shield.Invalid, fmt.Sprintf("version %d", now+2), fmt.Sprintf("up to %d", now), "newer shield")
	wantCode(t, catalog.Migrate(t.Context(), path), shield.Invalid)
	wantVersion(t, path, now+2)

	kept := fmt.Sprintf("%s.v%d.bak", path, now)
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("copy from before the upgrade has %v, error %v", info, err)
	}
	wantVersion(t, kept, now)
	wantTarget(t, mustOpen(t, kept), "a")
}

// TestUpgradeKeepsTasks upgrades a catalog of version 2, whose table of tasks
// is made anew.
func TestUpgradeKeepsTasks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	const uuid = "6a233c7c-8386-4375-9614-883425d095dd"
	err := catalog.MigrateTo(t.Context(), path, 2, `INSERT INTO tasks VALUES (7, '`+uuid+`', 'ann', 'purge', 'pending', 50,
		'', '', 'archive', '', '', '', 'store', 'nas', 's3', '', 'key', 'key.manifest', 0, '', 0,
		1000, NULL, NULL, NULL, 0, 3, 2000, '', 4, NULL, 'unavailable', 'gone', 1, 2, 3, 4, '', '', '{"bucket":"b"}', 'lines')`)
	if err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, path)
	got, err := db.Task(t.Context(), uuid)
	if err != nil {
		t.Fatal(err)
	}
	if got.Attempts != 3 || got.LeaseEpoch != 4 || got.Log != "lines" || string(got.StoreEndpoint) != `{"bucket":"b"}` || got.NotBefore.UnixMilli() != 2000 {
		t.Errorf("the task became %+v", got)
	}
	probe := &shield.Task{Op: shield.OpProbeTarget, TargetPlugin: "fs", TargetEndpoint: shield.Endpoint(`{}`)}
	if err := db.CreateTask(t.Context(), probe); err != nil {
		t.Errorf("a task of a new operation: %v", err)
	}
}

// TestUpgradeKnowsSuccesses: jobs from before objectives know when their newest
// archive was taken, also one that is purged by now.
func TestUpgradeKnowsSuccesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	archive := func(uuid, job, status string, taken int) string {
		return fmt.Sprintf(`INSERT INTO archives (uuid, target_uuid, target_name, store_uuid, store_name, job_uuid, store_key, manifest_key,
			taken_at, notes, status, purge_reason, plugin, plugin_version, plugin_digest, compression, encrypted, raw_size, raw_digest,
			stored_size, stored_digest, seal, frames)
			VALUES ('%s', 't', '', 's', '', '%s', '', '', %d, '', '%s', '', '', '', '', '', 0, 0, '', 0, '', '', 0);`, uuid, job, taken, status)
	}
	err := catalog.MigrateTo(t.Context(), path, 5, `
		INSERT INTO targets VALUES (1, 't', 'db', '', 1, 0, 0, 'fs', '', '{}');
		INSERT INTO stores (uuid, name, summary, version, plugin, endpoint) VALUES ('s', 'nas', '', 1, 'fs', '{}');
		INSERT INTO schedules (uuid, name, summary, version, timespec, timezone) VALUES ('c', 'daily', '', 1, 'daily 4:00', '');
		INSERT INTO retention (uuid, name, summary, version, expiry) VALUES ('p', 'month', '', 1, 60);
		INSERT INTO jobs (uuid, name, summary, version, created_at, target_uuid, store_uuid, schedule_uuid, retention_uuid)
			VALUES ('j', 'old', '', 1, 1000, 't', 's', 'c', 'p'), ('k', 'new', '', 1, 1000, 't', 's', 'c', 'p');`+
		archive("a", "j", "valid", 3000)+archive("b", "j", "purged", 5000)+archive("c", "j", "valid", 4000))
	if err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, path)
	for name, want := range map[string]int64{"old": 5000, "new": 0} {
		j, err := db.Job(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := j.LastSuccess; want == 0 && !got.IsZero() || want > 0 && got.UnixMilli() != want {
			t.Errorf("the last success of job %s was at %v, want %d ms", name, got, want)
		}
	}
}

// TestUpgradeKeepsReviews upgrades a catalog in which each archive says when it
// is looked at again: its target is when the first of them is.
func TestUpgradeKeepsReviews(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	sql := "INSERT INTO stores (uuid, name, summary, version, plugin, endpoint) VALUES ('s', 'nas', '', 1, 'fs', '{}');"
	for _, target := range []string{"put-off", "held", "late", "for-ever"} {
		sql += fmt.Sprintf("INSERT INTO targets (uuid, name, summary, version, plugin, agent, endpoint) VALUES ('%s', '%[1]s', '', 1, 'fs', '', '{}');", target)
	}
	for i, a := range []struct {
		target, expires, review string
		held                    int
	}{
		{"put-off", "2000", "9000", 0}, {"put-off", "5000", "NULL", 0}, {"held", "1000", "NULL", 1}, {"late", "1000", "NULL", 0},
		{"late", "6000", "NULL", 0}, {"for-ever", "NULL", "NULL", 0},
	} {
		sql += fmt.Sprintf(`INSERT INTO archives (uuid, target_uuid, target_name, store_uuid, store_name, job_uuid, store_key, manifest_key,
			taken_at, expires_at, review_at, held, notes, status, purge_reason, plugin, plugin_version, plugin_digest, compression, encrypted,
			raw_size, raw_digest, stored_size, stored_digest, seal, frames)
			VALUES ('%d', '%s', '', 's', '', '', '', '', %[1]d, %[3]s, %[4]s, %[5]d, '', 'valid', '', '', '', '', '', 0, 0, '', 0, '', '', 0);`,
			i, a.target, a.expires, a.review, a.held)
	}
	if err := catalog.MigrateTo(t.Context(), path, 14, sql); err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, path)
	for _, step := range []struct {
		at   int64
		want []string
	}{{999, nil}, {1000, []string{"late"}}, {4999, []string{"late"}}, {5000, []string{"late", "put-off"}}} {
		var asked []string
		now := time.UnixMilli(step.at)
		_, err := db.ReviewArchives(t.Context(), now, now, func(r *shield.Review) error {
			asked = append(asked, r.Target)
			return nil
		})
		if err != nil || !slices.Equal(asked, step.want) {
			t.Errorf("at %d ms %q are looked at, want %q, error %v", step.at, asked, step.want, err)
		}
	}
}

// TestFailedMigration checks that a migration that fails half-way leaves the
// one before it, and the data, whole.
func TestFailedMigration(t *testing.T) {
	for name, sql := range map[string]string{
		"syntax":       "CREATE TABLE half (x); DELETE FROM targets; CREATE TABEL",
		"constraint":   "CREATE TABLE half (x); UPDATE targets SET version = 0",
		"foreign keys": "CREATE TABLE half (x); CREATE TABLE c (x REFERENCES targets (uuid)); INSERT INTO c VALUES ('nothing')",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shield.db")
			db := mustOpen(t, path)
			addTarget(t, db, "a")
			_, now, _ := catalog.SchemaVersion(t.Context(), path)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			err := catalog.MigrateWith(t.Context(), path, "CREATE TABLE good (x)", sql)
			if err == nil {
				t.Fatal("a broken migration passes")
			}
			wantCode(t, err, shield.CodeOf(err), "migration added failed")
			wantVersion(t, path, now+1)
			if err := catalog.MigrateWith(t.Context(), path, "CREATE TABLE good (x)", "CREATE TABLE half (x)"); err != nil {
				t.Errorf("the repaired migration fails: %v", err)
			}
			wantVersion(t, path, now+2)
		})
	}
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shield.db")
	db := mustOpen(t, path)
	addTarget(t, db, "a")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(text); i++ { // the header stays
		text[i] = 0xA5
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = catalog.Open(t.Context(), path, nil)
	wantCode(t, err, shield.Corrupt, "damaged")
}
