// Package scaleseed fills a catalog with as much as the benchmarks of scale
// want, quickly: by SQL of its own, and with the indexes made at the end. The
// catalog's own methods write one commit a row.
package scaleseed

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// A Size is how much there is to be. Each job has a target of its own, one run
// ahead and as many archives as all others.
type Size struct {
	Jobs, Archives int
	// Schedules and Policies are shared by the jobs in turn.
	Schedules, Policies int
}

// Scale is what shield is to hold on one machine.
var Scale = Size{Jobs: 100_000, Archives: 1_000_000, Schedules: 100, Policies: 10}

// count is a table of the numbers below some other.
const count = "WITH RECURSIVE n (v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n WHERE v + 1 < %d) "

// uuid is that of what has a number. They are as far from being in order as
// those that shield makes.
func uuid(kind int, number string) string {
	return fmt.Sprintf("printf('%%08x-0000-4000-800%d-%%012x', (%s) * 2654435761 %% 4294967296, %s)", kind, number, number)
}

// The kinds.
const (
	target = iota + 1
	store
	schedule
	policy
	job
	archive
	run
)

// next is when all runs are due.
func next(now time.Time) time.Time { return now.UTC().Truncate(time.Minute).Add(20 * time.Hour) }

// Fill fills the catalog in the file at path, which nobody has open and which
// has its schema. All runs are due twenty hours from now, as their schedules say.
// Archives are a day apart, the newest of now; none has expired, and the
// policies want a daily one for nine days.
func Fill(ctx context.Context, path string, s Size, now time.Time) error {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=synchronous(OFF)&_pragma=foreign_keys(0)&_pragma=cache_size(-200000)"}).String())
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	indexes, err := dropIndexes(ctx, db)
	if err != nil {
		return err
	}
	for _, statement := range append(s.statements(now), indexes...) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// dropIndexes returns how to make them again.
func dropIndexes(ctx context.Context, db *sql.DB) (made []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var drops []string
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			return nil, err
		}
		made, drops = append(made, statement), append(drops, "DROP INDEX "+name)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	for _, drop := range drops {
		if _, err := db.ExecContext(ctx, drop); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func (s Size) statements(now time.Time) []string {
	at, day := now.UnixMilli(), int64(24*time.Hour/time.Millisecond)
	each := s.Archives / s.Jobs
	named := func(kind, n int, table, name, columns, values string) string {
		return fmt.Sprintf(count+"INSERT INTO %s (uuid, name, summary, version, created_at, updated_at, %s) SELECT %s, printf('%s-%%d', v), '', 1, %d, %d, %s FROM n",
			n, table, columns, uuid(kind, "v"), name, at, at, values)
	}
	return []string{
		named(target, s.Jobs, "targets", "target", "plugin, agent, endpoint", `'fs', '', '{"base_dir":"/srv"}'`),
		named(store, 10, "stores", "store", "plugin, endpoint", `'fs', '{"base_dir":"/store"}'`),
		named(schedule, s.Schedules, "schedules", "schedule", "timespec, timezone, planned", next(now).Format("'daily 15:04', '', 1")),
		named(policy, s.Policies, "retention", "policy", "expiry, keep_daily", "3600, 9"),
		named(job, s.Jobs, "jobs", "job", "target_uuid, store_uuid, schedule_uuid, retention_uuid, planned",
			uuid(target, "v")+", "+uuid(store, "v % 10")+", "+uuid(schedule, fmt.Sprintf("v %% %d", s.Schedules))+", "+uuid(policy, fmt.Sprintf("v %% %d", s.Policies))+", 1"),
		fmt.Sprintf(count+"INSERT INTO runs (uuid, job_uuid, due_at, task_uuid, status, reason) SELECT %s, %s, %d, '', 'due', '' FROM n",
			s.Jobs, uuid(run, "v"), uuid(job, "v"), next(now).UnixMilli()),
		fmt.Sprintf(count+`INSERT INTO archives (uuid, target_uuid, target_name, store_uuid, store_name, job_uuid, store_key, manifest_key, taken_at, expires_at,
			notes, status, purge_reason, plugin, plugin_version, plugin_digest, compression, encrypted, raw_size, raw_digest, stored_size, stored_digest, seal, frames)
			SELECT %s, %s, printf('target-%%d', v %% %d), %s, printf('store-%%d', v %% 10), %s,
			printf('2026/11/23/2026-11-23-000000-%%d', v), printf('2026/11/23/2026-11-23-000000-%%d.manifest', v),
			%d - (v / %d) * %d, %d, '', 'valid', '', 'fs', '1.0.0', '', 'fastest', 1, 1000000,
			printf('blake3:%%064x', v), 300000, printf('blake3:%%064x', v + 1), printf('%%080x', v), 1 FROM n`,
			each*s.Jobs, uuid(archive, "v"), uuid(target, fmt.Sprintf("v %% %d", s.Jobs)), s.Jobs, uuid(store, "v % 10"), uuid(job, fmt.Sprintf("v %% %d", s.Jobs)),
			at, s.Jobs, day, at+30*day),
	}
}

// Due makes the runs of so many jobs due at a time, and forgets the tasks that
// earlier ones came to.
func Due(ctx context.Context, path string, n int, at time.Time) error {
	return change(ctx, path, "DELETE FROM tasks", "UPDATE runs SET status = 'missed' WHERE status <> 'due'",
		fmt.Sprintf("UPDATE runs SET due_at = %d WHERE id IN (SELECT id FROM runs WHERE status = 'due' LIMIT %d)", at.UnixMilli(), n))
}

// Expire has all archives expire an hour after they were taken, each to be
// looked at.
func Expire(ctx context.Context, path string) error {
	return change(ctx, path, "PRAGMA cache_size = -200000",
		"UPDATE archives SET status = 'valid', purge_reason = '', expires_at = taken_at + 3600000")
}

func change(ctx context.Context, path string, statements ...string) error {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(60000)"}).String())
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range append(statements, "PRAGMA wal_checkpoint(TRUNCATE)") {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return nil
}
