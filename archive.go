package shield

import "time"

// ManifestSuffix is what a manifest's key has behind that of its blob.
const ManifestSuffix = ".manifest"

// An ArchiveStatus is the state of an Archive.
type ArchiveStatus string

// The states of an archive.
const (
	ArchiveValid   ArchiveStatus = "valid"   // stored, acknowledged, length and digest agreed
	ArchiveExpired ArchiveStatus = "expired" // its policy no longer wants it; a purge task will remove it
	ArchivePurging ArchiveStatus = "purging" // somebody asked for its removal
	ArchivePurged  ArchiveStatus = "purged"  // the store confirmed that it is gone
	ArchiveInvalid ArchiveStatus = "invalid" // found to be damaged or missing
)

// ValidArchiveStatus reports whether s is one of the states.
func ValidArchiveStatus(s ArchiveStatus) bool {
	switch s {
	case ArchiveValid, ArchiveExpired, ArchivePurging, ArchivePurged, ArchiveInvalid:
		return true
	}
	return false
}

// Suspicious reports whether the archive is suspicious and nobody has
// acknowledged it. Nothing of its job and target is purged meanwhile, and it
// stands in for no older archive.
func (a *Archive) Suspicious() bool { return a.Suspicion != "" && a.AcknowledgedAt.IsZero() }

// An Archive is what a good backup left in a store.
type Archive struct {
	UUID string `json:"uuid"`
	// Version is raised with every change. UpdateArchive refuses what was made
	// of an older one; 0 is not compared.
	Version     int64         `json:"version"`
	Target      string        `json:"target_uuid"`
	Store       string        `json:"store_uuid"`
	Job         string        `json:"job_uuid"`
	Key         string        `json:"store_key"`    // of the blob
	ManifestKey string        `json:"manifest_key"` // of the commit record beside it
	TakenAt     time.Time     `json:"taken_at"`
	ExpiresAt   time.Time     `json:"expires_at"`
	Notes       string        `json:"notes"`
	Status      ArchiveStatus `json:"status"`
	PurgeReason string        `json:"purge_reason"`
	// Held archives are not purged, by retention or by request, until they are
	// released.
	Held bool `json:"held"`
	// Suspicion says why the archive does not look like those that its job made
	// of the target before; empty if it does.
	Suspicion string `json:"suspicion"`
	// AcknowledgedAt is when somebody said that a suspicious archive is fine.
	AcknowledgedAt   time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy   string    `json:"acknowledged_by,omitempty"`
	AcknowledgedNote string    `json:"acknowledged_note,omitempty"`
	// MissingAt is when its blob was found to be missing in the store. The
	// archive is invalid then, and valid again should the blob be found.
	MissingAt time.Time `json:"missing_at,omitzero"`

	Plugin        string `json:"plugin"` // target plugin that made the stream
	PluginVersion string `json:"plugin_version"`
	PluginDigest  string `json:"plugin_digest"`
	// Versions are of the software that held and that dumped the data, Counts
	// of what the target held, as it said just before the dump. Both are empty
	// for a plugin that does not tell.
	Versions map[string]string `json:"versions,omitempty"`
	Counts   map[string]int64  `json:"counts,omitempty"`

	// Compression is the level, or raw: the blob is the raw bytes.
	Compression string `json:"compression"`
	Encrypted   bool   `json:"encrypted"`
	// Recipients are the age public keys that the archive is sealed to: what
	// belongs to any of them opens it. Empty if it is not encrypted, or was made
	// before they were noted.
	Recipients   []string `json:"recipients,omitempty"`
	RawSize      int64    `json:"raw_size"`      // bytes that the target gave
	RawDigest    string   `json:"raw_digest"`    // "blake3:<hex>" of them
	StoredSize   int64    `json:"stored_size"`   // bytes in the store
	StoredDigest string   `json:"stored_digest"` // "blake3:<hex>" of them
	Frames       int64    `json:"frames"`
	// Seal is the header of the sealed blob: a blob with another one was made
	// by somebody else. Empty if it is not encrypted.
	Seal string `json:"seal"`

	TargetName string `json:"target,omitempty"` // filled when read
	StoreName  string `json:"store,omitempty"`
}
