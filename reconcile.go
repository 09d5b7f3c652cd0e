package shield

import (
	"fmt"
	"strings"
	"time"
)

// An Inventory is what a catalog knows of the blobs of one store.
type Inventory struct {
	Held  []Holding       // archives that are not purged
	Open  map[string]bool // keys that tasks which have not ended write or remove
	Tried map[string]bool // UUIDs of the archives that backups which have ended were to make
}

// A Holding is an archive that a catalog has in a store.
type Holding struct {
	Archive     string // UUID
	Key         string
	ManifestKey string
	Status      ArchiveStatus
	Size        int64 // stored bytes
	Missing     bool  // marked as missing
}

// A Stray is a blob, or its manifest, or both, that a store has and an
// Inventory has not.
type Stray struct {
	Key        string // of the blob
	Blob       bool
	Manifest   bool
	Signer     Signer
	Size       int64     // of both
	ModifiedAt time.Time // of the later one; zero if the store does not tell
}

// A Signer is who made a manifest.
type Signer string

// The signers.
const (
	SignerUnread Signer = ""      // nobody looked
	SignerOwn    Signer = "own"   // this daemon
	SignerOther  Signer = "other" // another one, or nobody can tell
)

// A DifferenceKind names a difference between a catalog and a store.
type DifferenceKind string

// The kinds of differences.
const (
	DiffMissing    DifferenceKind = "missing"     // a valid archive whose blob is not there: marked as invalid
	DiffFound      DifferenceKind = "found"       // one that was missing and is there again: valid
	DiffChanged    DifferenceKind = "changed"     // a valid archive whose blob has another size
	DiffNoManifest DifferenceKind = "no-manifest" // a valid archive without its manifest
	DiffOrphan     DifferenceKind = "orphan"      // left behind: may be removed
	DiffUnrecorded DifferenceKind = "unrecorded"  // a whole archive of this daemon that the catalog does not know
	DiffForeign    DifferenceKind = "foreign"     // of somebody else
)

// DifferenceKinds returns all kinds, what matters most first.
func DifferenceKinds() []DifferenceKind {
	return []DifferenceKind{DiffMissing, DiffFound, DiffChanged, DiffNoManifest, DiffUnrecorded, DiffOrphan, DiffForeign}
}

// A Difference is one between a catalog and a store.
type Difference struct {
	Kind       DifferenceKind `json:"kind"`
	Key        string         `json:"key"`
	Archive    string         `json:"archive_uuid,omitempty"`
	Size       int64          `json:"size"`
	ModifiedAt time.Time      `json:"modified_at,omitzero"`
	Text       string         `json:"text"`
	Removing   bool           `json:"removing"` // a purge task was queued for it
}

// MaxDifferences is how many differences of a kind a Reconciliation keeps.
const MaxDifferences = 100

// A Reconciliation is what comparing a catalog with a store came to.
type Reconciliation struct {
	Blobs       int64                    `json:"blobs"`    // that the store lists
	Bytes       int64                    `json:"bytes"`    // of them
	Archives    int64                    `json:"archives"` // valid ones that the catalog has there
	Counts      map[DifferenceKind]int64 `json:"counts"`
	Removing    int64                    `json:"removing"` // orphans for which a purge was queued
	Differences []Difference             `json:"differences"`
}

// Add counts a difference, and keeps it unless there are too many of its kind.
func (r *Reconciliation) Add(d Difference) {
	if r.Counts == nil {
		r.Counts = map[DifferenceKind]int64{}
	}
	if r.Counts[d.Kind]++; r.Counts[d.Kind] <= MaxDifferences {
		r.Differences = append(r.Differences, d)
	}
	if d.Removing {
		r.Removing++
	}
}

// String is the reconciliation in one line, with the first keys of each kind.
func (r *Reconciliation) String() string {
	const keys = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%d blobs of %d bytes listed, %d valid archives expected", r.Blobs, r.Bytes, r.Archives)
	for _, k := range DifferenceKinds() {
		if r.Counts[k] == 0 {
			continue
		}
		var some []string
		for _, d := range r.Differences {
			if d.Kind == k && len(some) < keys {
				some = append(some, d.Key)
			}
		}
		fmt.Fprintf(&b, "; %d %s: %s", r.Counts[k], k, strings.Join(some, ", "))
		if r.Counts[k] > keys {
			b.WriteString(", ...")
		}
	}
	if r.Removing > 0 {
		fmt.Fprintf(&b, "; %d orphans are being removed", r.Removing)
	}
	return b.String()
}
