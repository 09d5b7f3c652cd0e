package shield

import "time"

// A Schedule says when: a timespec in an IANA time zone.
type Schedule struct {
	Meta
	Timespec string `json:"timespec"` // "daily 4:00", "every 5 minutes"; see scheduler/timespec
	Timezone string `json:"timezone"` // "Europe/Rome"; empty: UTC
	// Jitter delays each job on the schedule by its own number of seconds,
	// from 0 to below this.
	Jitter int64 `json:"jitter"`
	// Blackout are windows in which no run starts: "weekdays 8:00 to 18:00".
	Blackout []string `json:"blackout"`
	// CatchUp says what becomes of runs that were missed: CatchUpOne of each
	// job is made up for, or none. Empty means one.
	CatchUp string `json:"catch_up"`
}

// Values of Schedule.CatchUp.
const (
	CatchUpOne  = "one"
	CatchUpNone = "none"
)

// Limits of a schedule.
const (
	MaxJitter   = 24 * 3600 // seconds
	MaxBlackout = 50        // windows
)

// Validate checks all but the grammar of the timespec and of blackout
// windows, and the zone's name, which scheduler/timespec knows.
func (s *Schedule) Validate() error {
	if s.Timespec == "" {
		return FieldErrorf("timespec", `is missing: when is wanted, like "daily 4:00" or "every 5 minutes"`)
	}
	if s.Jitter < 0 || s.Jitter > MaxJitter {
		return FieldErrorf("jitter", "is %d seconds: 0 to %d (a day) are allowed", s.Jitter, MaxJitter)
	}
	if len(s.Blackout) > MaxBlackout {
		return FieldErrorf("blackout", "has %d windows: at most %d are allowed", len(s.Blackout), MaxBlackout)
	}
	for _, w := range s.Blackout {
		if err := ValidateText("blackout", w); err != nil {
			return err
		}
	}
	switch s.CatchUp {
	case "", CatchUpOne, CatchUpNone:
	default:
		return FieldErrorf("catch_up", "is %.100q: %s or %s are allowed", s.CatchUp, CatchUpOne, CatchUpNone)
	}
	return FirstError(s.validate(), ValidateText("timespec", s.Timespec), ValidateText("timezone", s.Timezone))
}

// A Policy is a retention policy: how long an archive is kept.
type Policy struct {
	Meta
	Expiry int64 `json:"expiry"` // seconds from the moment the archive was taken
}

// MaxExpiry is the longest retention, 100 years in seconds.
const MaxExpiry = 100 * 366 * 24 * 3600

// Validate checks the policy.
func (p *Policy) Validate() error {
	if p.Expiry < 1 || p.Expiry > MaxExpiry {
		return FieldErrorf("expiry", "is %d seconds: 1 to %d (100 years) are allowed", p.Expiry, int64(MaxExpiry))
	}
	return p.validate()
}

// Retention is the policy as a duration.
func (p *Policy) Retention() time.Duration { return time.Duration(p.Expiry) * time.Second }

// DefaultPriority is the priority of a job that names none.
const DefaultPriority = 50

// A Job backs up a target into a store on a schedule under a retention
// policy. Every job has all four.
type Job struct {
	Meta
	Target   string `json:"target_uuid"`
	Store    string `json:"store_uuid"`
	Schedule string `json:"schedule_uuid"`
	Policy   string `json:"retention_uuid"`
	Priority int    `json:"priority"` // 0 (first) to 100 (last)
	Paused   bool   `json:"paused"`
	// Compression is a level of package archive: fastest, default, better or
	// none. Empty means fastest.
	Compression string `json:"compression"`
	// Unencrypted stores archives without sealing them.
	Unencrypted bool `json:"unencrypted"`
	// Timeout ends a task of this job after so many seconds; 0: the daemon's
	// default.
	Timeout int64 `json:"timeout"`

	// Names of what the job refers to, filled when a job is read.
	TargetName   string `json:"target,omitempty"`
	StoreName    string `json:"store,omitempty"`
	ScheduleName string `json:"schedule,omitempty"`
	PolicyName   string `json:"retention_policy,omitempty"`
}

// Validate checks the job, but not that what it refers to exists.
func (j *Job) Validate() error {
	if err := j.validate(); err != nil {
		return err
	}
	for _, r := range []struct{ field, value string }{
		{"target", j.Target}, {"store", j.Store}, {"schedule", j.Schedule}, {"retention_policy", j.Policy},
	} {
		if r.value == "" {
			return FieldErrorf(r.field, "is missing: every job has a target, a store, a schedule and a retention policy")
		}
	}
	if j.Priority < 0 || j.Priority > 100 {
		return FieldErrorf("priority", "is %d: 0 (first) to 100 (last) are allowed", j.Priority)
	}
	switch j.Compression {
	case "", "fastest", "default", "better", "none":
	default:
		return FieldErrorf("compression", "is %q: fastest, default, better or none are allowed", j.Compression)
	}
	if j.Timeout < 0 {
		return FieldErrorf("timeout", "is %d seconds: it cannot be negative", j.Timeout)
	}
	return nil
}
