package catalog

import (
	"context"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// ApplicationID marks a file as a catalog.
const ApplicationID = applicationID

// Exec runs SQL on the connection that writes.
func (db *DB) Exec(sql string) error {
	_, err := db.writer.DB.Exec(sql)
	return err
}

// ReaderExec runs SQL on a connection that reads.
func (db *DB) ReaderExec(sql string) error {
	_, err := db.reader.DB.Exec(sql)
	return err
}

// Pragma returns a pragma's value on both kinds of connections.
func (db *DB) Pragma(name string) (writer, reader string, err error) {
	if err := db.writer.DB.QueryRow("PRAGMA " + name).Scan(&writer); err != nil {
		return "", "", err
	}
	err = db.reader.DB.QueryRow("PRAGMA " + name).Scan(&reader)
	return writer, reader, err
}

// CheckSettings asserts settings that the connection does not have.
func (db *DB) CheckSettings() error {
	return checkSettings(context.Background(), db.writer, []setting{{"synchronous", "", "0"}})
}

// MigrateWith opens the file at path with migrations added to the program's.
func MigrateWith(ctx context.Context, path string, added ...string) error {
	p, err := migrations()
	if err != nil {
		return err
	}
	for _, sql := range added {
		p = append(p, migration{version: len(p) + 1, name: "added", sql: sql})
	}
	pool := openPool(dsn(path, writerSettings(path)), 1)
	defer pool.Close()
	return fail(ctx, "catalog.Open", migrate(ctx, pool.DB, path, p))
}

// MigrateTo makes a file of an earlier version of the schema and runs SQL on
// it.
func MigrateTo(ctx context.Context, path string, version int, sql string) error {
	p, err := migrations()
	if err != nil {
		return err
	}
	pool := openPool(dsn(path, writerSettings(path)), 1)
	defer pool.Close()
	if err := migrate(ctx, pool.DB, path, p[:version]); err != nil {
		return err
	}
	_, err = pool.DB.ExecContext(ctx, sql)
	return err
}

// Plan returns how SQLite runs a query.
func (db *DB) Plan(sql string) (string, error) {
	rows, err := db.writer.DB.Query("EXPLAIN QUERY PLAN " + sql)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return "", err
		}
		steps = append(steps, detail)
	}
	return strings.Join(steps, "\n"), rows.Err()
}

// ClaimSQL and the functions below return the statements that the catalog
// runs.
func (db *DB) ClaimSQL() string {
	return db.writer.NewRaw(claimTask, 1, "core", 2, 3, 4, 5).String()
}

func (db *DB) MissedSQL() string {
	return missedQuery(db.writer, (*objectiveRow)(nil), time.Unix(1, 0)).String()
}

func (db *DB) MetSQL() string {
	return metQuery(db.writer, (*objectiveRow)(nil), time.Unix(1, 0)).String()
}

func (db *DB) ArchivesSQL(f shield.Filter) string {
	return archivesQuery(db.reader, (*archiveRow)(nil), f).String()
}

func (db *DB) WaitingSQL() string {
	return dueReviewsQuery(db.reader, time.Unix(1, 0), []dueReview{{Target: "a"}, {Target: "b"}}).String()
}

func (db *DB) ValidSQL() string { return validQuery(db.reader, []string{"x", "y"}).String() }

func (db *DB) DoubtfulSQL() string { return doubtfulQuery(db.reader, []string{"x", "y"}).String() }

func (db *DB) PutOffSQL() string { return putOffReviews("(1, 1, 1), (2, 1, 1)") }

func (db *DB) EndReviewsSQL() string { return endReviews("(1, 1), (2, 1)") }

func (db *DB) GiveUpSQL() string { return giveUpArchives("(1, 1), (2, 1)") }

func (db *DB) OpenPurgesSQL() string { return openPurges }

func (db *DB) ToPurgeSQL() string {
	return toPurgeQuery(db.reader, (*archiveRow)(nil), "x", 10).String()
}

func (db *DB) TasksSQL(f shield.Filter) string {
	return tasksQuery(db.reader, (*taskRow)(nil), f).String()
}

func (db *DB) RunningSQL() string { return runningQuery(db.reader, (*taskRow)(nil)).String() }

func (db *DB) RunsSQL(f shield.Filter) string {
	return runsQuery(db.reader, (*runRow)(nil), f).String()
}

func (db *DB) EventsSQL(f shield.Filter) string {
	return eventsQuery(db.reader, (*eventRow)(nil), f).String()
}

func (db *DB) TargetsSQL(f shield.Filter) string {
	k := targets()
	return k.narrow(k.selectRows(db.reader, (*targetRow)(nil)), f).OrderExpr("?TableAlias.name").String()
}

func (db *DB) JobsSQL(f shield.Filter) string {
	k := jobs()
	return k.narrow(k.selectRows(db.reader, (*jobRow)(nil)), f).OrderExpr("?TableAlias.name").String()
}

func (db *DB) DueSQL() string {
	return dueQuery(db.reader, (*runRow)(nil), time.Unix(1, 0), "x", 1).String()
}

func (db *DB) NextDueSQL() string { return nextDueQuery(db.reader, time.Unix(1, 0)).String() }

func (db *DB) EndRunsSQL() string { return strings.ReplaceAll(endRuns(2), "?", "'x'") }

func (db *DB) OpenJobsSQL() string { return openJobsQuery(db.reader, []string{"x", "y"}).String() }

func (db *DB) PlansSQL(f shield.PlanFilter) string {
	return plansQuery(db.reader, (*planRow)(nil), f).String()
}

func (db *DB) JobsDueSQL() string {
	return jobsDueQuery(db.reader, (*runRow)(nil), []string{"x", "y"}).String()
}

func (db *DB) ChangedSchedulesSQL() string {
	return changedSchedulesQuery(db.reader, (*scheduleRow)(nil), "x").String()
}

func (db *DB) AuditSQL(f shield.AuditFilter) string {
	return auditQuery(db.reader, (*auditRow)(nil), f).String()
}

// KeyOwnerSQL asks whose a key is.
var KeyOwnerSQL = strings.ReplaceAll(keyOwnerSQL, "?", "'x'")
