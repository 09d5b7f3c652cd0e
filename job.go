package shield

import "time"

// A Schedule says when: a timespec in an IANA time zone.
type Schedule struct {
	Meta
	Timespec string `json:"timespec"` // "daily 4:00", "every 5 minutes"; see scheduler/timespec
	Timezone string `json:"timezone"` // "Europe/Rome"; empty: UTC
}

// Validate checks all but the timespec's grammar and the zone's name, which
// scheduler/timespec knows.
func (s *Schedule) Validate() error {
	if s.Timespec == "" {
		return FieldErrorf("timespec", `is missing: when is wanted, like "daily 4:00" or "every 5 minutes"`)
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
