package s3

import "github.com/shieldhq/shield/plugin"

// SetPlan has a store divide streams as it does with large ones, at sizes
// that a test can afford.
func SetPlan(st plugin.Store, direct, segments, segment int) {
	s := st.(*store)
	s.plan = plan{part: s.plan.part, direct: direct, segments: segments, segment: segment}
}
