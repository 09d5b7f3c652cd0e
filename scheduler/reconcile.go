package scheduler

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// orphanAge is how old an orphan must be to be removed.
const orphanAge = 24 * time.Hour

// testKey is what tests and checks of a store write below.
var testKey = regexp.MustCompile(`^(shield-test|plugintest)/[A-Z2-7]{26}(/|$)`)

func (s *Scheduler) fillReconcile(ctx context.Context, t *shield.Task, r shield.Request) error {
	if err := s.fillStore(ctx, t, r.Store); err != nil {
		return err
	}
	t.RemoveOrphans = r.RemoveOrphans
	open, err := s.openWith(ctx, t.Store)
	for _, o := range open {
		if o.Op == shield.OpReconcile {
			return shield.Errorf(shield.Conflict, "", "store %s is being reconciled already, by task %s", t.StoreName, o.UUID)
		}
	}
	return err
}

// open are the states of tasks that have not ended.
var open = []string{string(shield.TaskPending), string(shield.TaskRunning)}

// openWith returns the tasks with a store that have not ended.
func (s *Scheduler) openWith(ctx context.Context, store string) ([]*shield.Task, error) {
	return s.catalog.Tasks(ctx, shield.Filter{Store: store, Statuses: open})
}

// reconcile has the runner compare a store with an inventory of now, and judges
// what it found by what the catalog knows then. Purges are made of the task as
// it is kept, whose secrets are sealed.
func (s *Scheduler) reconcile(ctx context.Context, t, sealed *shield.Task, l *live) (r shield.TaskResult, err error) {
	if t.Inventory, err = s.catalog.Inventory(ctx, t.Store); err != nil {
		return r, err
	}
	if r, err = s.runner.Run(ctx, t, l); err != nil {
		return shield.TaskResult{}, err
	}
	if r.Findings == nil || r.Findings.Reconciliation == nil {
		return r, shield.Errorf(shield.Internal, "reconcile", "the runner has not said what it found")
	}
	sealed.Inventory = t.Inventory
	j := &strays{scheduler: s, task: sealed, log: l, now: s.now(), found: r.Findings.Reconciliation}
	if r.Missing, err = j.stillMissing(ctx, r.Missing); err == nil {
		err = j.judge(ctx, r.Strays)
	}
	if err != nil {
		return shield.TaskResult{}, err
	}
	l.Log(shield.SourceShield, j.found.String())
	return r, nil
}

// strays judges blobs that a store has and its inventory has not.
type strays struct {
	scheduler *Scheduler
	task      *shield.Task
	log       *live
	now       time.Time
	found     *shield.Reconciliation
	open      map[string]bool // UUIDs of archives that tasks work on by now
}

// stillMissing leaves out the archives that were purged, or asked to be, while
// the store was listed.
func (j *strays) stillMissing(ctx context.Context, uuids []string) ([]string, error) {
	var missing []string
	for _, uuid := range uuids {
		a, err := j.scheduler.catalog.Archive(ctx, uuid)
		if err != nil {
			return nil, err
		}
		if a.Status == shield.ArchiveValid {
			missing = append(missing, uuid)
			continue
		}
		j.found.Counts[shield.DiffMissing]--
		j.found.Differences = slices.DeleteFunc(j.found.Differences, func(d shield.Difference) bool {
			return d.Kind == shield.DiffMissing && d.Archive == uuid
		})
	}
	return missing, nil
}

func (j *strays) judge(ctx context.Context, all []shield.Stray) error {
	open, err := j.scheduler.openWith(ctx, j.task.Store)
	if err != nil {
		return err
	}
	j.open = map[string]bool{}
	for _, t := range open {
		j.open[t.Archive] = true
	}
	for i := range all {
		d, at, err := j.difference(ctx, &all[i])
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		if err := j.remove(ctx, d, at); err != nil {
			return err
		}
		if d.Kind != shield.DiffForeign || j.found.Counts[d.Kind] < shield.MaxDifferences {
			j.log.Log(shield.SourceShield, fmt.Sprintf("%s: %s %s", d.Kind, d.Key, d.Text))
		}
		j.found.Add(*d)
	}
	return nil
}

// difference says what a stray is, and when it was written, as far as that can
// be told. It returns nil for what the catalog has come to know.
func (j *strays) difference(ctx context.Context, s *shield.Stray) (*shield.Difference, time.Time, error) {
	d := &shield.Difference{Kind: shield.DiffForeign, Key: s.Key, Size: s.Size, ModifiedAt: s.ModifiedAt, Text: "has no key of shield's"}
	if !s.Blob {
		d.Key += shield.ManifestSuffix
	}
	if testKey.MatchString(s.Key) {
		d.Kind, d.Text = shield.DiffOrphan, "was left by a test of the store"
		return d, s.ModifiedAt, nil
	}
	archive, at, ok := parseStoreKey(s.Key)
	if !ok || j.open[archive] {
		if ok {
			d = nil
		}
		return d, at, nil
	}
	if s.ModifiedAt.After(at) {
		at = s.ModifiedAt
	}
	d.Archive = archive
	a, err := j.scheduler.catalog.Archive(ctx, archive)
	switch {
	case shield.CodeOf(err) == shield.NotFound:
		j.unknown(d, s)
	case err != nil:
		return nil, at, err
	case a.Status == shield.ArchivePurged:
		d.Kind, d.Text = shield.DiffOrphan, "is of an archive that was purged: "+a.PurgeReason
	case a.Store == j.task.Store && a.Key == s.Key:
		return nil, at, nil // made meanwhile
	default:
		d.Text = fmt.Sprintf("is of an archive that the catalog has in store %s, under %s", a.StoreName, a.Key)
	}
	return d, at, nil
}

// unknown judges a stray of which the catalog has no archive. Only what a
// backup of this catalog left unfinished is an orphan: a whole archive may be
// all that is left of one that a lost catalog had, or be another daemon's.
func (j *strays) unknown(d *shield.Difference, s *shield.Stray) {
	whole := s.Blob && s.Manifest
	switch {
	case whole && s.Signer == shield.SignerOwn:
		d.Kind, d.Text = shield.DiffUnrecorded, "is a whole archive of this daemon that the catalog does not know: docs/formats.md tells how to restore it by hand; it is not removed"
	case whole:
		d.Text = "has a manifest that this daemon did not make, or cannot read: it is another daemon's"
		if s.Signer == shield.SignerUnread {
			d.Text = "has a manifest that nobody has read, since there are so many: it is not removed"
		}
	case j.task.Inventory.Tried[d.Archive]:
		d.Kind, d.Text = shield.DiffOrphan, "was left by a backup that did not get done"
	default:
		d.Text = "is of no backup that this catalog knows: it may be another daemon's"
	}
}

// remove queues the purge of an orphan, if it is wanted and old enough.
func (j *strays) remove(ctx context.Context, d *shield.Difference, at time.Time) error {
	switch {
	case d.Kind != shield.DiffOrphan || !j.task.RemoveOrphans:
		return nil
	case at.IsZero():
		d.Text += "; it is not removed, since the store does not tell how old it is"
		return nil
	case j.now.Sub(at) <= orphanAge:
		d.Text += "; it is not removed yet, since it is not older than a day"
		return nil
	}
	purge := leftover(j.task, strings.TrimSuffix(d.Key, shield.ManifestSuffix), j.now)
	purge.Owner = j.task.Owner
	err := j.scheduler.catalog.CreateTask(ctx, purge)
	if shield.CodeOf(err) == shield.Invalid { // a key that is no text
		d.Text += "; it cannot be removed: " + err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	signal(j.scheduler.wake)
	d.Removing = true
	d.Text += "; it is being removed, by task " + purge.UUID
	return nil
}

// parseStoreKey returns what storeKey made a key of.
func parseStoreKey(key string) (archive string, at time.Time, ok bool) {
	parts := strings.Split(key, "/")
	last := parts[len(parts)-1]
	const layout = "2006-01-02-150405"
	if len(parts) != 4 || len(last) < len(layout)+1 {
		return "", at, false
	}
	archive = last[len(layout)+1:]
	at, err := time.Parse(layout, last[:len(layout)])
	return archive, at, err == nil && shield.IsUUID(archive) && storeKey(at, archive) == key
}
