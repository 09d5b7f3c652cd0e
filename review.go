package shield

// A Review is what retention decides about: a target some of whose archives
// have expired. The archives are without what only a restore needs.
type Review struct {
	Target string
	// Archives are the valid ones, and those suspicious ones that are invalid,
	// the newest first.
	Archives []*Archive
	// Policies are those of the jobs that made them, by the job's UUID. One
	// that was deleted has none.
	Policies map[string]*Policy
	// Unwanted is the answer: the UUIDs of archives to be purged.
	Unwanted map[string]bool
}
