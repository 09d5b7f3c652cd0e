package agent

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
)

// Bounds of what an agent may say of how a task ended.
const (
	resultLimit    = 1 << 20 // bytes of archive and findings
	errorLimit     = 16 << 10
	leftoversLimit = 4 // keys: of a blob and its manifest, wanted and as the store chose
)

// codes are those that a task on an agent can end with.
var codes = []shield.Code{
	shield.Invalid, shield.NotFound, shield.Conflict, shield.Unauthorized, shield.Forbidden, shield.Unavailable,
	shield.Canceled, shield.TimedOut, shield.Locked, shield.Corrupt, shield.TargetFailed, shield.StoreFailed,
	shield.PluginFailed, shield.Interrupted, shield.Internal,
}

// believed is the error that an agent says a task has ended with, bounded.
func believed(f *storewire.Failure) error {
	if f == nil {
		return nil
	}
	b := *f
	if !slices.Contains(codes, b.Code) {
		b.Code = shield.Internal
	}
	if len(b.Message) > errorLimit {
		b.Message = strings.ToValidUTF8(b.Message[:errorLimit], "") + " ... (cut)"
	}
	b.Field = clip(b.Field)
	return b.Err()
}

// leftovers are the keys that an attempt can have left, of those that an agent
// says it has: they are removed.
func (at *attempt) leftovers(keys []string) []string {
	if at.task.Op != shield.OpBackup {
		return nil
	}
	var some []string
	for _, key := range keys {
		if len(some) == leftoversLimit {
			break
		}
		if key == "" || len(key) > 1024 || !utf8.ValidString(key) || slices.Contains(some, key) {
			continue
		}
		if at.wrote != nil && !at.wrote(key) {
			continue // what went through the daemon is known
		}
		some = append(some, key)
	}
	return some
}

// near reports whether two times are about the same: what an agent takes for
// the daemon's clock is late by the time that an order was under way.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < 10*time.Minute }

// forget notes that a blob is removed that came by here.
func (at *attempt) forget(key string) {
	at.mu.Lock()
	defer at.mu.Unlock()
	delete(at.sent, key)
}

// check returns what cannot be true of a result.
func (at *attempt) check(r *shield.TaskResult, err error) error {
	t := at.task
	said, merr := json.Marshal(r)
	lie := func(format string, args ...any) error {
		return shield.Errorf(shield.Corrupt, "", "its result cannot be true: "+format, args...)
	}
	if merr != nil || len(said) > resultLimit {
		return lie("it has %d bytes", len(said))
	}
	if err != nil || t.Op != shield.OpBackup {
		if r.Archive != nil {
			return lie("it has an archive, though there can be none")
		}
		return nil
	}
	a := r.Archive
	switch {
	case a == nil:
		return lie("it has no archive")
	case a.UUID != t.Archive || a.Target != t.Target || a.Store != t.Store || a.Job != t.Job:
		return lie("its archive is not the one that was ordered")
	case a.Status != shield.ArchiveValid || a.Key == "" || a.RawSize < 0 || a.StoredSize < 0 || a.Frames < 0:
		return lie("its archive is %s with %d raw bytes and %d stored ones", a.Status, a.RawSize, a.StoredSize)
	case !near(a.TakenAt, t.StartedAt) && !near(a.TakenAt, time.Now()) && (a.TakenAt.Before(t.StartedAt) || a.TakenAt.After(time.Now())):
		return lie("its archive was taken at %s, before or after the task", a.TakenAt.UTC().Format(time.RFC3339))
	case !a.ExpiresAt.Equal(a.TakenAt.Add(time.Duration(t.Retention) * time.Second)):
		return lie("its archive expires at %s, as was not ordered", a.ExpiresAt.UTC().Format(time.RFC3339))
	case a.Encrypted == t.Unencrypted:
		return lie("its archive is encrypted: %v, as was not ordered", a.Encrypted)
	}
	if at.store == nil {
		return nil
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	relayed, ok := at.sent[t.Key]
	if !ok || relayed.size != a.StoredSize || relayed.digest != a.StoredDigest {
		return lie("it says that %d bytes with digest %s were stored, of which %d with %q came by here", a.StoredSize, a.StoredDigest, relayed.size, relayed.digest)
	}
	return nil
}
