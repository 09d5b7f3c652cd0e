//go:build linux

package ui_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
)

// TestShots writes screenshots of every page, with half a year of history.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("make ui-shots takes screenshots")
	}
	v := start(t, "--agent-listen", "127.0.0.1:0")
	company(v)
	v.Kill()
	if err := history(t.Context(), filepath.Join(v.Data(), "catalog.db"), time.Now()); err != nil {
		t.Fatal(err)
	}
	v.again()
	v.Backup("shop-nightly")
	if _, _, status := v.Try("run", "job", "wiki-nightly", "--wait"); status == 0 {
		t.Fatal("the backup of what is not there did not fail")
	}
	v.Run("restore", "archive", v.Archives()[0].UUID, "--to", "shop-copy", "--wait")
	v.modules(t)
	v.Install(filepath.Join(v.Dir, "target.wasm"))
	var join struct{ Token string }
	v.JSON(&join, "create", "agent-token", "--name", "db1", "--labels", "site=rome")
	v.agent(t, join.Token)
	v.node(v.URL(), "test/shots.mjs", *shots, *only)
}

// company makes what a small company would have.
func company(v *visit) {
	for _, name := range []string{"nas", "offsite"} {
		if err := os.MkdirAll(filepath.Join(v.Dir, name), 0o755); err != nil {
			v.t.Fatal(err)
		}
	}
	endpoint := func(name string) string {
		if !filepath.IsAbs(name) {
			name = filepath.Join(v.Dir, name)
		}
		return fmt.Sprintf(`{"base_dir": %q}`, name)
	}
	for name, about := range map[string]string{"nas": "Disks in the cellar", "offsite": "Another town"} {
		v.Run("create", "store", "--name", name, "--plugin", "fs", "--endpoint", endpoint(name), "--summary", about)
	}
	for _, target := range []struct{ name, dir, about string }{
		{"shop", "data", "Orders and customers"}, {"www", "data", "Public web site"}, {"mail", "data", "Mail of everybody"},
		{"wiki", "/srv/wiki-that-is-gone", "What we know"},
	} {
		v.Run("create", "target", "--name", target.name, "--plugin", "fs", "--endpoint", endpoint(target.dir), "--summary", target.about)
	}
	v.Run("create", "target", "--name", "shop-copy", "--plugin", "fs", "--endpoint", endpoint("copy"), "--summary", "To try restores", "--scratch")
	v.Run("create", "schedule", "--name", "nightly", "--timespec", "daily 4:00", "--timezone", "Europe/Rome", "--summary", "When nobody works")
	v.Run("create", "schedule", "--name", "hourly", "--timespec", "hourly at :15", "--timezone", "Europe/Rome")
	v.Run("create", "retention", "policy", "--name", "a-year", "--expiry", "400d", "--keep-monthly", "24", "--summary", "As the law wants it")
	for job, parts := range map[string][3]string{
		"shop-nightly": {"shop", "nas", "nightly"}, "shop-offsite": {"shop", "offsite", "nightly"}, "www-nightly": {"www", "nas", "nightly"},
		"mail-hourly": {"mail", "nas", "hourly"}, "wiki-nightly": {"wiki", "nas", "nightly"},
	} {
		v.Run("create", "job", "--name", job, "--target", parts[0], "--store", parts[1], "--schedule", parts[2], "--retention-policy", "a-year")
	}
}

// history writes into a catalog what its jobs would have done until now, had
// they been there for half a year.
func history(ctx context.Context, path string, now time.Time) error {
	db, err := catalog.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	jobs, err := db.Jobs(ctx, shield.Filter{})
	if err != nil {
		return err
	}
	for n, j := range jobs {
		step, first := 24*time.Hour, now.Truncate(24*time.Hour).Add(-180*24*time.Hour+3*time.Hour)
		if strings.HasSuffix(j.Name, "hourly") {
			step, first = time.Hour, now.Truncate(time.Hour).Add(-30*time.Hour+15*time.Minute)
		}
		for i, due := 0, first; due.Before(now.Add(-time.Minute)); i, due = i+1, due.Add(step) {
			if err := past(ctx, db, j, due, i+17*n); err != nil {
				return err
			}
		}
	}
	return nil
}

// past writes one run of a job. A few were missed or failed.
func past(ctx context.Context, db *catalog.DB, j *shield.Job, due time.Time, i int) error {
	r := &shield.Run{Job: j.UUID, DueAt: due}
	if i%61 == 60 {
		r.Status, r.Reason = shield.RunMissed, "the daemon did not run"
		return db.RecordRun(ctx, r)
	}
	if err := db.RecordRun(ctx, r); err != nil {
		return err
	}
	target, err := db.Target(ctx, j.Target)
	if err != nil {
		return err
	}
	store, err := db.Store(ctx, j.Store)
	if err != nil {
		return err
	}
	size := int64(2.4e9 * (1 + float64(i)/300 + 0.03*math.Sin(float64(i))))
	took := time.Duration(size/90e6)*time.Second + time.Duration(i%7)*3*time.Second
	id := uuid.NewString()
	key := due.UTC().Format("2006/01/02/2006-01-02-150405-") + id
	task := &shield.Task{
		Op: shield.OpBackup, Owner: "system", Job: j.UUID, JobName: j.Name, Archive: id, Key: key, Retention: 400 * 24 * 3600, RequestedAt: due, Compression: "fastest",
		Target: j.Target, TargetName: j.TargetName, TargetPlugin: target.Plugin, TargetEndpoint: target.Endpoint,
		Store: j.Store, StoreName: j.StoreName, StorePlugin: store.Plugin, StoreEndpoint: store.Endpoint,
	}
	if err := db.StartRun(ctx, r, task); err != nil {
		return err
	}
	claimed, err := db.ClaimTask(ctx, shield.Lease{Owner: "history", Expires: due.Add(time.Hour), Timeout: time.Hour}, due.Add(time.Second))
	if err != nil {
		return err
	}
	lease := shield.Lease{Owner: "history", Epoch: claimed.LeaseEpoch}
	end := due.Add(took)
	if i%23 == 22 {
		return db.FinishTask(ctx, claimed.UUID, lease, shield.Outcome{Status: shield.TaskFailed, StoppedAt: end, Code: shield.StoreFailed, Error: "store nas (fs) failed: storing " + key + ": no space left on device"})
	}
	digest := "blake3:" + strings.Repeat("7f3a", 16)
	return db.FinishTask(ctx, claimed.UUID, lease, shield.Outcome{
		Status: shield.TaskDone, StoppedAt: end, Progress: shield.Progress{RawBytes: size, StoredBytes: size / 3},
		Archive: &shield.Archive{
			UUID: id, Target: j.Target, Store: j.Store, Job: j.UUID, Key: key, ManifestKey: key + shield.ManifestSuffix, TakenAt: due, ExpiresAt: due.Add(400 * 24 * time.Hour),
			Status: shield.ArchiveValid, Plugin: "fs", PluginVersion: "1.0.0", Compression: "fastest", Encrypted: true,
			RawSize: size, RawDigest: digest, StoredSize: size / 3, StoredDigest: digest, Frames: 2300,
		},
	})
}
