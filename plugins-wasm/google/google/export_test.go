package google

// For tests.
var (
	ParseRange = parseRange
	ParseKey   = func(text, tokenURL string) error { _, err := parseKey(text, tokenURL); return err }
	ParsePage  = func(body []byte) error { _, err := parsePage(body, "place"); return err }
	SlabsOf    = slabsOf
)

// Limits of uploads, for tests.
const (
	SlabSize  = slabSize
	PoolSlabs = poolSlabs
)
