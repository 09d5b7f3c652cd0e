package s3

// A plan says how a stream of unknown length is divided. S3 takes 10,000
// parts an object, of at most 5 GiB each, and 5 TiB in all, while no part
// larger than our memory could be sent twice. So a stream begins with parts
// that fit, and what comes after those goes to a second object, a segment,
// which the service then copies into the upload as one large part.
type plan struct {
	part     int // bytes of a part that is sent
	direct   int // how many are sent to the object itself
	segments int // how many segments may follow
	segment  int // parts of a segment
}

const (
	partsLimit   = 10_000
	segmentBytes = 5 << 30 // the most that can be copied at once
	objectBytes  = 5 << 40
)

// segmentSuffix is what the key of a segment ends with.
const segmentSuffix = "~segment"

func defaultPlan(part int) plan {
	segment := segmentBytes / part
	segments := (objectBytes + segment*part - 1) / (segment * part)
	return plan{part: part, direct: partsLimit - segments, segments: segments, segment: segment}
}
