package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

const (
	// reviewAtOnce is of how many targets a page is.
	reviewAtOnce = 200
	// givenAtOnce bounds a transaction, so that other writers wait for some
	// hundredths of a second at the most.
	givenAtOnce = 1000
	// reviewPages is how many pages there are before other work is done.
	reviewPages = 4
)

// A reviewed archive is what retention needs of one. It is found again by its
// id, and those that were made one after the other are next to each other.
type reviewed struct {
	*shield.Archive
	id int64
}

// A dueReview says that the archives of a target are to be looked at.
type dueReview struct {
	ID      int64  `bun:"id"`
	Target  string `bun:"target_uuid"`
	Version int64  `bun:"version"`
}

// A reviewPage is some targets with all their archives, as they were read.
type reviewPage struct {
	due     []dueReview
	reviews map[string]*shield.Review // by target
	all     []reviewed
	more    bool // archives of other targets may wait
	err     error
}

// ReviewArchives implements shield.ArchiveService. It reads, asks and writes
// one after the other, so that nobody waits while decide thinks. While it
// writes of some targets it reads of others.
func (db *DB) ReviewArchives(ctx context.Context, now, next time.Time, decide func(*shield.Review) error) (more bool, err error) {
	page := db.readReviewPage(ctx, now, nil)
	for n := range reviewPages {
		if page.err != nil {
			return false, page.err
		}
		ahead := make(chan *reviewPage, 1)
		if last := n == reviewPages-1; page.more && !last {
			go func() { ahead <- db.readReviewPage(ctx, now, page.due) }()
		} else {
			ahead <- nil
		}
		err := db.settlePage(ctx, page, now, next, decide)
		following := <-ahead
		if err != nil {
			return false, err
		}
		if following == nil {
			break
		}
		page = following
	}
	return page.more, nil
}

// readReviewPage reads of the targets that wait longest, but not of some that
// are being settled.
func (db *DB) readReviewPage(ctx context.Context, now time.Time, settling []dueReview) *reviewPage {
	page := &reviewPage{}
	page.err = db.read(ctx, "catalog.ReviewArchives", func(ctx context.Context, q bun.IDB) error { return page.read(ctx, q, now, settling) })
	return page
}

// settlePage asks about a page and writes what was decided. What a review says
// of the next one is written last: if that fails, it is asked again.
func (db *DB) settlePage(ctx context.Context, page *reviewPage, now, next time.Time, decide func(*shield.Review) error) error {
	unwanted := map[string]bool{}
	for _, d := range page.due {
		r := page.reviews[d.Target]
		if r == nil {
			continue
		}
		if err := decide(r); err != nil {
			return err
		}
		for uuid := range r.Unwanted {
			unwanted[uuid] = r.Unwanted[uuid]
		}
	}
	given := slices.DeleteFunc(page.all, func(a reviewed) bool { return !unwanted[a.UUID] || !hasExpired(a.Archive, now) })
	slices.SortFunc(given, func(a, b reviewed) int { return cmp.Compare(a.id, b.id) })
	for last := false; !last; {
		some := given[:min(len(given), givenAtOnce)]
		given = given[len(some):]
		last = len(given) == 0
		err := db.write(ctx, "catalog.ReviewArchives", func(ctx context.Context, tx bun.Tx) error {
			if err := giveUp(ctx, tx, some); err != nil || !last {
				return err
			}
			return putOff(ctx, tx, page, now, next)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func mayExpire(a *shield.Archive) bool {
	return a.Status == shield.ArchiveValid && !a.Held && !a.ExpiresAt.IsZero()
}

func hasExpired(a *shield.Archive, now time.Time) bool {
	return mayExpire(a) && !a.ExpiresAt.After(now)
}

// nextReview is when one of some archives expires or, if one has, at next:
// whatever kept it may not do so then. Zero if none ever does.
func nextReview(archives []*shield.Archive, now, next time.Time) (at time.Time) {
	for _, a := range archives {
		t := a.ExpiresAt
		if hasExpired(a, now) {
			t = next
		}
		if mayExpire(a) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// read fills the page with the targets that wait longest, and all their
// archives. The targets come first: what changes of these meanwhile raises the
// version.
func (page *reviewPage) read(ctx context.Context, q bun.IDB, now time.Time, settling []dueReview) error {
	if err := dueReviewsQuery(q, now, settling).Scan(ctx, &page.due); err != nil || len(page.due) == 0 {
		return err
	}
	page.more = len(page.due) == reviewAtOnce
	targets := targetsOf(page.due)
	for _, query := range []*bun.SelectQuery{validQuery(q, targets), doubtfulQuery(q, targets)} {
		var err error
		if page.all, err = readReviewed(ctx, query, page.all); err != nil {
			return err
		}
	}
	page.reviews = map[string]*shield.Review{}
	jobs := map[string]bool{}
	for _, a := range page.all {
		r := page.reviews[a.Target]
		if r == nil {
			r = &shield.Review{Target: a.Target, Policies: map[string]*shield.Policy{}, Unwanted: map[string]bool{}}
			page.reviews[a.Target] = r
		}
		r.Archives = append(r.Archives, a.Archive)
		jobs[a.Job] = true
	}
	of, err := policiesOf(ctx, q, jobs)
	for _, r := range page.reviews {
		for _, a := range r.Archives {
			if p := of[a.Job]; p != nil {
				r.Policies[a.Job] = p
			}
		}
	}
	return err
}

func targetsOf(due []dueReview) (targets []string) {
	for _, d := range due {
		targets = append(targets, d.Target)
	}
	return targets
}

func dueReviewsQuery(db bun.IDB, now time.Time, settling []dueReview) *bun.SelectQuery {
	q := db.NewSelect().TableExpr("reviews AS n").Column("n.id", "n.target_uuid", "n.version").
		Where("n.due_at <= ?", floorMilli(now)).OrderExpr("n.due_at, n.id").Limit(reviewAtOnce)
	if len(settling) > 0 {
		q.Where("n.target_uuid NOT IN (?)", bun.List(targetsOf(settling)))
	}
	return q
}

func reviewedColumns(q *bun.SelectQuery, targets []string) *bun.SelectQuery {
	return q.Column("n.id", "n.uuid", "n.version", "n.target_uuid", "n.job_uuid", "n.taken_at", "n.expires_at",
		"n.status", "n.held", "n.suspicion", "n.acknowledged_at").Where("n.target_uuid IN (?)", bun.List(targets))
}

func validQuery(db bun.IDB, targets []string) *bun.SelectQuery {
	return reviewedColumns(db.NewSelect().TableExpr("archives AS n INDEXED BY archives_valid"), targets).
		Where("n.status = 'valid'").OrderExpr("n.target_uuid DESC, n.taken_at DESC, n.id DESC")
}

// doubtfulQuery finds what may freeze a job beside the valid archives.
func doubtfulQuery(db bun.IDB, targets []string) *bun.SelectQuery {
	return reviewedColumns(db.NewSelect().TableExpr("archives AS n INDEXED BY archives_suspicious"), targets).
		Where("n.status = 'invalid' AND n.suspicion <> '' AND n.acknowledged_at IS NULL")
}

func readReviewed(ctx context.Context, q *bun.SelectQuery, all []reviewed) ([]reviewed, error) {
	rows, err := q.Rows(ctx)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		a := reviewed{Archive: &shield.Archive{}}
		var taken, expires, acknowledged stamp
		if err := rows.Scan(&a.id, &a.UUID, &a.Version, &a.Target, &a.Job, &taken, &expires, &a.Status, &a.Held, &a.Suspicion, &acknowledged); err != nil {
			return nil, err
		}
		a.TakenAt, a.ExpiresAt, a.AcknowledgedAt = taken.Time, expires.Time, acknowledged.Time
		all = append(all, a)
	}
	return all, rows.Err()
}

// policiesOf returns the policies of jobs, by the job's UUID.
func policiesOf(ctx context.Context, q bun.IDB, jobs map[string]bool) (map[string]*shield.Policy, error) {
	var pairs []struct {
		Job    string `bun:"uuid"`
		Policy string `bun:"retention_uuid"`
	}
	var uuids []string
	for job := range jobs {
		uuids = append(uuids, job)
	}
	err := q.NewSelect().Table("jobs").Column("uuid", "retention_uuid").Where("uuid IN (?)", bun.List(uuids)).Scan(ctx, &pairs)
	if err != nil {
		return nil, err
	}
	var named []string
	for _, p := range pairs {
		named = append(named, p.Policy)
	}
	found, err := policies().among(ctx, q, named)
	of := map[string]*shield.Policy{}
	for _, p := range pairs {
		of[p.Job] = found[p.Policy]
	}
	return of, err
}

// giveUp has archives that are in order of their ids expired, unless they have
// changed. A reason names the expiry as RFC 3339 does.
func giveUp(ctx context.Context, tx bun.Tx, given []reviewed) error {
	if len(given) == 0 {
		return nil
	}
	var list []string
	for _, a := range given {
		list = append(list, fmt.Sprintf("(%d,%d)", a.id, a.Version))
	}
	_, err := tx.Tx.ExecContext(ctx, giveUpArchives(strings.Join(list, ",")))
	return err
}

// giveUpArchives is about a list of ids and versions. The plus keeps SQLite
// from beginning with all valid archives.
func giveUpArchives(list string) string {
	return `WITH d (id, version) AS (VALUES ` + list + `)
UPDATE archives SET status = 'expired', purge_reason = 'expired ' || strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000, 'unixepoch'),
	version = archives.version + 1
FROM d WHERE archives.id = d.id AND archives.version = d.version AND +archives.status = 'valid' AND +archives.held = 0
AND EXISTS (SELECT 1 FROM archives AS newer INDEXED BY archives_valid
	WHERE newer.status = 'valid' AND newer.target_uuid = archives.target_uuid
	AND (newer.taken_at, newer.id) > (archives.taken_at, archives.id)
	AND (newer.suspicion = '' OR newer.acknowledged_at IS NOT NULL))`
}

// putOff writes when the targets of a page are looked at again. It passes over
// those whose archives have changed.
func putOff(ctx context.Context, tx bun.Tx, page *reviewPage, now, next time.Time) error {
	var later, never []string
	for _, d := range page.due {
		var at time.Time
		if r := page.reviews[d.Target]; r != nil {
			at = nextReview(r.Archives, now, next)
		}
		if at.IsZero() {
			never = append(never, fmt.Sprintf("(%d,%d)", d.ID, d.Version))
		} else {
			later = append(later, fmt.Sprintf("(%d,%d,%d)", d.ID, d.Version, floorMilli(at)))
		}
	}
	if len(later) > 0 {
		if _, err := tx.Tx.ExecContext(ctx, putOffReviews(strings.Join(later, ","))); err != nil {
			return err
		}
	}
	if len(never) == 0 {
		return nil
	}
	_, err := tx.Tx.ExecContext(ctx, endReviews(strings.Join(never, ",")))
	return err
}

func putOffReviews(list string) string {
	return `WITH d (id, version, due_at) AS (VALUES ` + list + `)
UPDATE reviews SET due_at = d.due_at FROM d WHERE reviews.id = d.id AND reviews.version = d.version`
}

func endReviews(list string) string {
	return `WITH d (id, version) AS (VALUES ` + list + `)
DELETE FROM reviews WHERE id IN (SELECT reviews.id FROM d CROSS JOIN reviews WHERE reviews.id = d.id AND reviews.version = d.version)`
}

// OpenPurges implements shield.ArchiveService.
func (db *DB) OpenPurges(ctx context.Context) (n int, err error) {
	err = db.read(ctx, "catalog.OpenPurges", func(ctx context.Context, q bun.IDB) error {
		return q.NewRaw(openPurges).Scan(ctx, &n)
	})
	return n, err
}

const openPurges = "SELECT count(*) FROM tasks INDEXED BY tasks_open_archive WHERE status IN ('pending', 'running') AND archive_uuid <> '' AND op = 'purge'"

// ArchivesToPurge implements shield.ArchiveService.
func (db *DB) ArchivesToPurge(ctx context.Context, after string, limit int) ([]*shield.Archive, error) {
	var rows []*archiveRow
	err := db.read(ctx, "catalog.ArchivesToPurge", func(ctx context.Context, q bun.IDB) error {
		return toPurgeQuery(q, &rows, after, limit).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, (*archiveRow).noun), nil
}

func toPurgeQuery(db bun.IDB, model any, after string, limit int) *bun.SelectQuery {
	return selectArchives(db, model).ModelTableExpr("archives AS n INDEXED BY archives_going").
		Where("n.status IN ('expired', 'purging')").Where("n.uuid > ?", after).
		Where(`NOT EXISTS (SELECT 1 FROM tasks AS p INDEXED BY tasks_open_archive
			WHERE p.archive_uuid = n.uuid AND p.op = 'purge' AND p.status IN ('pending', 'running'))`).
		OrderExpr("n.uuid").Limit(int64(limit))
}
