package catalog

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type archiveRow struct {
	bun.BaseModel    `bun:"table:archives,alias:n"`
	ID               int64  `bun:"id,pk,autoincrement"`
	UUID             string `bun:"uuid"`
	Version          int64  `bun:"version"`
	Target           string `bun:"target_uuid"`
	TargetName       string `bun:"target_name"`
	Store            string `bun:"store_uuid"`
	StoreName        string `bun:"store_name"`
	Job              string `bun:"job_uuid"`
	Key              string `bun:"store_key"`
	ManifestKey      string `bun:"manifest_key"`
	TakenAt          stamp  `bun:"taken_at"`
	ExpiresAt        stamp  `bun:"expires_at"`
	Notes            string `bun:"notes"`
	Status           string `bun:"status"`
	PurgeReason      string `bun:"purge_reason"`
	Held             bool   `bun:"held"`
	Suspicion        string `bun:"suspicion"`
	AcknowledgedAt   stamp  `bun:"acknowledged_at"`
	AcknowledgedBy   string `bun:"acknowledged_by"`
	AcknowledgedNote string `bun:"acknowledged_note"`
	MissingAt        stamp  `bun:"missing_at"`
	Plugin           string `bun:"plugin"`
	PluginVersion    string `bun:"plugin_version"`
	PluginDigest     string `bun:"plugin_digest"`
	Compression      string `bun:"compression"`
	Encrypted        bool   `bun:"encrypted"`
	RawSize          int64  `bun:"raw_size"`
	RawDigest        string `bun:"raw_digest"`
	StoredSize       int64  `bun:"stored_size"`
	StoredDigest     string `bun:"stored_digest"`
	Seal             string `bun:"seal"`
	Frames           int64  `bun:"frames"`

	Versions document[map[string]string] `bun:"versions"`
	Counts   document[map[string]int64]  `bun:"counts"`

	Recipients document[[]string] `bun:"recipients"`
}

func archiveToRow(a *shield.Archive) *archiveRow {
	return &archiveRow{
		UUID: a.UUID, Version: a.Version, Target: a.Target, TargetName: a.TargetName, Store: a.Store, StoreName: a.StoreName, Job: a.Job,
		Key: a.Key, ManifestKey: a.ManifestKey,
		TakenAt: stampOf(a.TakenAt), ExpiresAt: stampOf(a.ExpiresAt),
		Notes: a.Notes, Status: string(a.Status), PurgeReason: a.PurgeReason, Held: a.Held,
		Suspicion: a.Suspicion, AcknowledgedAt: stampOf(a.AcknowledgedAt), AcknowledgedBy: a.AcknowledgedBy, AcknowledgedNote: a.AcknowledgedNote,
		MissingAt: stampOf(a.MissingAt),
		Plugin:    a.Plugin, PluginVersion: a.PluginVersion, PluginDigest: a.PluginDigest,
		Compression: a.Compression, Encrypted: a.Encrypted,
		RawSize: a.RawSize, RawDigest: a.RawDigest,
		StoredSize: a.StoredSize, StoredDigest: a.StoredDigest, Seal: a.Seal, Frames: a.Frames,
		Versions: document[map[string]string]{a.Versions}, Counts: document[map[string]int64]{a.Counts},
		Recipients: document[[]string]{a.Recipients},
	}
}

func (r *archiveRow) noun() *shield.Archive {
	return &shield.Archive{
		UUID: r.UUID, Version: r.Version, Target: r.Target, TargetName: r.TargetName, Store: r.Store, StoreName: r.StoreName, Job: r.Job,
		Key: r.Key, ManifestKey: r.ManifestKey,
		TakenAt: r.TakenAt.Time, ExpiresAt: r.ExpiresAt.Time,
		Notes: r.Notes, Status: shield.ArchiveStatus(r.Status), PurgeReason: r.PurgeReason, Held: r.Held,
		Suspicion: r.Suspicion, AcknowledgedAt: r.AcknowledgedAt.Time, AcknowledgedBy: r.AcknowledgedBy, AcknowledgedNote: r.AcknowledgedNote,
		MissingAt: r.MissingAt.Time,
		Plugin:    r.Plugin, PluginVersion: r.PluginVersion, PluginDigest: r.PluginDigest,
		Compression: r.Compression, Encrypted: r.Encrypted,
		RawSize: r.RawSize, RawDigest: r.RawDigest,
		StoredSize: r.StoredSize, StoredDigest: r.StoredDigest, Seal: r.Seal, Frames: r.Frames,
		Versions: r.Versions.V, Counts: r.Counts.V, Recipients: r.Recipients.V,
	}
}

// selectArchives shows the present names of target and store, or the last
// ones if they are gone.
func selectArchives(q bun.IDB, model any) *bun.SelectQuery {
	return q.NewSelect().Model(model).ExcludeColumn("target_name", "store_name").
		ColumnExpr("coalesce(t.name, n.target_name) AS target_name").
		ColumnExpr("coalesce(s.name, n.store_name) AS store_name").
		Join("LEFT JOIN targets AS t ON t.uuid = n.target_uuid").
		Join("LEFT JOIN stores AS s ON s.uuid = n.store_uuid")
}

func findArchive(ctx context.Context, q bun.IDB, uuid string) (*shield.Archive, error) {
	var row archiveRow
	found, err := findBy(ctx, selectArchives(q, &row), "uuid", uuid)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("archive", uuid)
	}
	return row.noun(), nil
}

// Archive implements shield.ArchiveService.
func (db *DB) Archive(ctx context.Context, uuid string) (*shield.Archive, error) {
	var a *shield.Archive
	err := db.read(ctx, "catalog.Archive", func(ctx context.Context, q bun.IDB) (err error) {
		a, err = findArchive(ctx, q, uuid)
		return err
	})
	return a, err
}

// Archives implements shield.ArchiveService. The newest taken comes first.
func (db *DB) Archives(ctx context.Context, f shield.Filter) ([]*shield.Archive, error) {
	var rows []*archiveRow
	err := db.read(ctx, "catalog.Archives", func(ctx context.Context, q bun.IDB) error {
		if !askable(f) {
			return nil
		}
		return archivesQuery(q, &rows, f).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, (*archiveRow).noun), nil
}

func archivesQuery(db bun.IDB, model any, f shield.Filter) *bun.SelectQuery {
	q := suspicious(selectArchives(db, model), f.Suspicious)
	q = equal(q, "target_uuid", f.Target)
	q = equal(q, "store_uuid", f.Store)
	q = equal(q, "job_uuid", f.Job)
	q = equal(q, "plugin", f.Plugin)
	q = anyStatus(q, f.Statuses)
	q = between(q, "taken_at", f.After, f.Before)
	return sorted(q, f, archiveOrder)
}

// suspicious narrows archives to those that are suspicious and not
// acknowledged, or to the others. It names the index of the former, which are
// few, since SQLite would rather read all archives of a job.
func suspicious(q *bun.SelectQuery, wanted *bool) *bun.SelectQuery {
	switch {
	case wanted == nil:
		return q
	case *wanted:
		return q.ModelTableExpr("archives AS n INDEXED BY archives_suspicious").Where("n.suspicion <> ''").Where("n.acknowledged_at IS NULL")
	}
	return q.Where("(n.suspicion = '' OR n.acknowledged_at IS NOT NULL)")
}

// changeArchive writes an archive as its next version.
func changeArchive(ctx context.Context, tx bun.Tx, a *shield.Archive) error {
	a.Version++
	return update(ctx, tx, archiveToRow(a), a.UUID)
}

// UpdateArchive implements shield.ArchiveService. An archive that is purged
// stays so: its bytes are gone.
func (db *DB) UpdateArchive(ctx context.Context, a *shield.Archive) error {
	made := *a
	err := db.write(ctx, "catalog.UpdateArchive", func(ctx context.Context, tx bun.Tx) error {
		old, err := findArchive(ctx, tx, a.UUID)
		if err != nil {
			return err
		}
		if err := checkArchiveUpdate(old, a); err != nil {
			return err
		}
		made = *old
		made.Notes, made.Status, made.PurgeReason, made.ExpiresAt = a.Notes, a.Status, a.PurgeReason, whole(a.ExpiresAt)
		made.Held = a.Held
		acknowledged := old.Suspicious() && !a.AcknowledgedAt.IsZero()
		if acknowledged {
			made.AcknowledgedAt, made.AcknowledgedBy, made.AcknowledgedNote = whole(a.AcknowledgedAt), a.AcknowledgedBy, a.AcknowledgedNote
		}
		if reflect.DeepEqual(&made, old) {
			return nil
		}
		if err := changeArchive(ctx, tx, &made); err != nil {
			return err
		}
		if acknowledged {
			if err := recordAcknowledgement(ctx, tx, &made); err != nil {
				return err
			}
		}
		if old.Status != shield.ArchivePurged && made.Status == shield.ArchivePurged {
			return recordPurge(ctx, tx, &made, time.Now())
		}
		return nil
	})
	if err == nil {
		*a = made
	}
	return err
}

func checkArchiveUpdate(old, a *shield.Archive) error {
	if !shield.ValidArchiveStatus(a.Status) {
		return shield.FieldErrorf("status", "is %.100q: valid, expired, purging, purged or invalid are allowed", a.Status)
	}
	if old.Status == shield.ArchivePurged && a.Status != shield.ArchivePurged {
		return shield.FieldErrorf("status", "is %q: the archive is purged and stays so, since its bytes are gone", a.Status)
	}
	if a.Suspicion == "" && old.Suspicion == "" && !a.AcknowledgedAt.IsZero() {
		return shield.FieldErrorf("acknowledged_at", "is set for archive %s, which is not suspicious", a.UUID)
	}
	if err := checkArchiveFresh(old, a); err != nil {
		return err
	}
	return shield.FirstError(
		shield.ValidateText("acknowledged_by", a.AcknowledgedBy),
		shield.ValidateText("acknowledged_note", a.AcknowledgedNote),
		shield.ValidateText("notes", a.Notes),
		shield.ValidateText("purge_reason", a.PurgeReason),
	)
}

// checkArchiveFresh refuses what was made of an archive as it no longer is. To
// hold one and to give it up are updates of their own: one that seems to do
// both would take back what somebody else did meanwhile.
func checkArchiveFresh(old, a *shield.Archive) error {
	going := func(s shield.ArchiveStatus) bool { return s == shield.ArchiveExpired || s == shield.ArchivePurging }
	changed := func(field, now string) error {
		return &shield.Error{Code: shield.Conflict, Field: field, Message: fmt.Sprintf("of archive %s was changed meanwhile: it is %s", a.UUID, now)}
	}
	switch {
	case going(old.Status) && (a.Status == shield.ArchiveValid || a.Status == shield.ArchiveInvalid):
		return changed("status", string(old.Status))
	case old.Held && going(a.Status) && !going(old.Status):
		return changed("held", "held")
	case a.Version != 0 && a.Version != old.Version:
		return &shield.Error{Code: shield.Conflict, Field: "version",
			Message: fmt.Sprintf("archive %s was changed meanwhile: version %d now, %d given", a.UUID, old.Version, a.Version)}
	}
	return nil
}

func recordPurge(ctx context.Context, tx bun.Tx, a *shield.Archive, at time.Time) error {
	text := fmt.Sprintf("archive of target %s purged from store %s: %s", a.TargetName, a.StoreName, a.PurgeReason)
	return recordEvent(ctx, tx, &shield.Event{At: at, Kind: shield.EventArchivePurged, Subject: a.UUID, Message: text})
}

func recordAcknowledgement(ctx context.Context, tx bun.Tx, a *shield.Archive) error {
	text := fmt.Sprintf("archive of target %s in store %s, which %s, is acknowledged by %s", a.TargetName, a.StoreName, a.Suspicion, a.AcknowledgedBy)
	if a.AcknowledgedNote != "" {
		text += ": " + a.AcknowledgedNote
	}
	return recordEvent(ctx, tx, &shield.Event{At: a.AcknowledgedAt, Kind: shield.EventArchiveAcknowledged, Subject: a.UUID, Message: text})
}
