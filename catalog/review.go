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
	// reviewAtOnce is how many archives a review begins with. Those of the same
	// targets that have expired, too, come with them.
	reviewAtOnce = 200
	// settledAtOnce bounds a transaction, so that other writers wait for some
	// hundredths of a second at the most.
	settledAtOnce = 1000
	// reviewPages is how often that is done before other work is.
	reviewPages = 4
)

// A reviewed archive is what retention needs of one. It is found again by its
// id, and those that were made one after the other are next to each other.
type reviewed struct {
	*shield.Archive
	id int64
}

// A reviewPage is some targets with all their archives, as they were read.
type reviewPage struct {
	targets []string
	reviews []*shield.Review
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
			go func() { ahead <- db.readReviewPage(ctx, now, page.targets) }()
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

// readReviewPage reads of the targets whose archives wait longest, but not of
// some that are being settled.
func (db *DB) readReviewPage(ctx context.Context, now time.Time, settling []string) *reviewPage {
	page := &reviewPage{}
	page.err = db.read(ctx, "catalog.ReviewArchives", func(ctx context.Context, q bun.IDB) error { return page.read(ctx, q, now, settling) })
	return page
}

// settlePage asks about a page and writes what was decided.
func (db *DB) settlePage(ctx context.Context, page *reviewPage, now, next time.Time, decide func(*shield.Review) error) error {
	unwanted := map[string]bool{}
	for _, r := range page.reviews {
		if err := decide(r); err != nil {
			return err
		}
		for uuid := range r.Unwanted {
			unwanted[uuid] = r.Unwanted[uuid]
		}
	}
	all := slices.DeleteFunc(page.all, func(a reviewed) bool { return !forReview(a.Archive, now) })
	slices.SortFunc(all, func(a, b reviewed) int { return cmp.Compare(a.id, b.id) })
	for some := range slices.Chunk(all, settledAtOnce) {
		err := db.write(ctx, "catalog.ReviewArchives", func(ctx context.Context, tx bun.Tx) error { return settleReviews(ctx, tx, some, unwanted, next) })
		if err != nil {
			return err
		}
	}
	return nil
}

// forReview reports what the index archives_expiry says.
func forReview(a *shield.Archive, now time.Time) bool {
	at := a.ReviewAt
	if at.IsZero() {
		at = a.ExpiresAt
	}
	return a.Status == shield.ArchiveValid && !a.Held && !at.IsZero() && !at.After(now)
}

// read fills the page with the targets of the archives that wait longest, and
// all their archives.
func (page *reviewPage) read(ctx context.Context, q bun.IDB, now time.Time, settling []string) error {
	var waiting []string
	if err := waitingQuery(q, now, settling).Scan(ctx, &waiting); err != nil || len(waiting) == 0 {
		return err
	}
	more := len(waiting) == reviewAtOnce
	slices.Sort(waiting)
	waiting = slices.Compact(waiting)
	var all []reviewed
	for _, query := range []*bun.SelectQuery{validQuery(q, waiting), doubtfulQuery(q, waiting)} {
		var err error
		if all, err = readReviewed(ctx, query, all); err != nil {
			return err
		}
	}
	var reviews []*shield.Review
	byTarget, jobs := map[string]*shield.Review{}, map[string]bool{}
	for _, a := range all {
		r := byTarget[a.Target]
		if r == nil {
			r = &shield.Review{Target: a.Target, Policies: map[string]*shield.Policy{}, Unwanted: map[string]bool{}}
			byTarget[a.Target], reviews = r, append(reviews, r)
		}
		r.Archives = append(r.Archives, a.Archive)
		jobs[a.Job] = true
	}
	of, err := policiesOf(ctx, q, jobs)
	for _, r := range reviews {
		for _, a := range r.Archives {
			if p := of[a.Job]; p != nil {
				r.Policies[a.Job] = p
			}
		}
	}
	page.targets, page.reviews, page.all, page.more = waiting, reviews, all, more
	return err
}

// waitingQuery names its index, since SQLite would rather sort all valid
// archives.
func waitingQuery(db bun.IDB, now time.Time, settling []string) *bun.SelectQuery {
	q := db.NewSelect().TableExpr("archives AS n INDEXED BY archives_expiry").Column("n.target_uuid").
		Where("n.status = 'valid' AND n.held = 0").
		Where("coalesce(n.review_at, n.expires_at) <= ?", floorMilli(now)).
		OrderExpr("coalesce(n.review_at, n.expires_at), n.id").Limit(reviewAtOnce)
	if len(settling) > 0 {
		q.Where("n.target_uuid NOT IN (?)", bun.List(settling))
	}
	return q
}

func reviewedColumns(q *bun.SelectQuery, targets []string) *bun.SelectQuery {
	return q.Column("n.id", "n.uuid", "n.version", "n.target_uuid", "n.job_uuid", "n.taken_at", "n.expires_at", "n.review_at",
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
		var taken, expires, review, acknowledged stamp
		if err := rows.Scan(&a.id, &a.UUID, &a.Version, &a.Target, &a.Job, &taken, &expires, &review, &a.Status, &a.Held, &a.Suspicion, &acknowledged); err != nil {
			return nil, err
		}
		a.TakenAt, a.ExpiresAt, a.ReviewAt, a.AcknowledgedAt = taken.Time, expires.Time, review.Time, acknowledged.Time
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

// settleReviews writes what was decided about archives that are in order of
// their ids. A reason names the expiry as RFC 3339 does.
func settleReviews(ctx context.Context, tx bun.Tx, all []reviewed, unwanted map[string]bool, next time.Time) error {
	var kept, given strings.Builder
	for _, a := range all {
		w := &kept
		if unwanted[a.UUID] {
			w = &given
		}
		if w.Len() > 0 {
			w.WriteByte(',')
		}
		fmt.Fprintf(w, "(%d,%d)", a.id, a.Version)
	}
	if kept.Len() > 0 {
		if _, err := tx.Tx.ExecContext(ctx, keepArchives(kept.String()), floorMilli(next)); err != nil {
			return err
		}
	}
	if given.Len() == 0 {
		return nil
	}
	_, err := tx.Tx.ExecContext(ctx, giveUpArchives(given.String()))
	return err
}

// unchanged are the archives of a list, by id and version. The plus keeps
// SQLite from beginning with all valid archives.
func unchanged(list, set, where string) string {
	return `WITH d (id, version) AS (VALUES ` + list + `)
UPDATE archives SET ` + set + `, version = archives.version + 1 FROM d
WHERE archives.id = d.id AND archives.version = d.version AND +archives.status = 'valid' AND +archives.held = 0` + where
}

func keepArchives(list string) string { return unchanged(list, "review_at = ?", "") }

func giveUpArchives(list string) string {
	return unchanged(list, `status = 'expired', purge_reason = 'expired ' || strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000, 'unixepoch')`, `
AND EXISTS (SELECT 1 FROM archives AS newer INDEXED BY archives_valid
	WHERE newer.status = 'valid' AND newer.target_uuid = archives.target_uuid
	AND (newer.taken_at, newer.id) > (archives.taken_at, archives.id)
	AND (newer.suspicion = '' OR newer.acknowledged_at IS NOT NULL))`)
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
