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

// A Policy is a retention policy: how long an archive is kept. It is kept
// until its expiry, and beyond that as long as one of the rules wants it.
type Policy struct {
	Meta
	Expiry int64 `json:"expiry"` // seconds from the moment the archive was taken
	// KeepLast wants the newest archives of a job. The others want the newest
	// one of each hour, day, ISO 8601 week, month or year, for the newest so
	// many of these that have any.
	KeepLast    int `json:"keep_last"`
	KeepHourly  int `json:"keep_hourly"`
	KeepDaily   int `json:"keep_daily"`
	KeepWeekly  int `json:"keep_weekly"`
	KeepMonthly int `json:"keep_monthly"`
	KeepYearly  int `json:"keep_yearly"`
	// MinValid is how many of the newest valid archives of a target are never
	// purged; 0 means 1, and there is no less.
	MinValid int `json:"min_valid"`
	// Timezone is the IANA zone that hours, days and so on are of; empty: UTC.
	Timezone string `json:"timezone"`
}

// MaxExpiry is the longest retention, 100 years in seconds.
const MaxExpiry = 100 * 366 * 24 * 3600

// MaxKeep is the largest number of archives that a rule can ask for.
const MaxKeep = 100_000

// Keeps reports whether a rule may want archives beyond their expiry, other
// than the newest valid one of a target.
func (p *Policy) Keeps() bool {
	return p.KeepLast > 0 || p.KeepHourly > 0 || p.KeepDaily > 0 || p.KeepWeekly > 0 || p.KeepMonthly > 0 || p.KeepYearly > 0 || p.MinValid > 1
}

// Validate checks the policy, but not that its time zone exists.
func (p *Policy) Validate() error {
	for _, k := range []struct {
		field string
		n     int
	}{
		{"keep_last", p.KeepLast}, {"keep_hourly", p.KeepHourly}, {"keep_daily", p.KeepDaily}, {"keep_weekly", p.KeepWeekly},
		{"keep_monthly", p.KeepMonthly}, {"keep_yearly", p.KeepYearly}, {"min_valid", p.MinValid},
	} {
		if k.n < 0 || k.n > MaxKeep {
			return FieldErrorf(k.field, "is %d: 0 to %d are allowed", k.n, MaxKeep)
		}
	}
	if p.Expiry < 1 || p.Expiry > MaxExpiry {
		return FieldErrorf("expiry", "is %d seconds: 1 to %d (100 years) are allowed", p.Expiry, int64(MaxExpiry))
	}
	return FirstError(p.validate(), ValidateText("timezone", p.Timezone))
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
	// none; or raw, for the stream of the target as it is, which cannot be
	// encrypted. Empty means raw where the store wants that and the job is
	// Unencrypted, else fastest.
	Compression string `json:"compression"`
	// Unencrypted stores archives without sealing them.
	Unencrypted bool `json:"unencrypted"`
	// Timeout ends a task of this job after so many seconds, IdleTimeout one
	// in which no byte has moved for so many; 0: the daemon's default.
	Timeout     int64 `json:"timeout"`
	IdleTimeout int64 `json:"idle_timeout"`
	// Overlap says what becomes of a run whose time comes while a backup of
	// the job has not ended. Empty means OverlapSkip.
	Overlap string `json:"overlap"`
	// Attempts is how often a backup is tried in all while its failures may
	// pass, and Backoff how many seconds after the first; 0: the daemon's
	// defaults.
	Attempts int   `json:"attempts"`
	Backoff  int64 `json:"backoff"`
	// RPO is the objective: how many seconds old the newest good backup may
	// be; 0: no objective.
	RPO int64 `json:"rpo"`

	// LastSuccess is when the newest good backup was taken, NextDue when the
	// next run is expected, and Breached whether the objective was missed at
	// the time of reading. The catalog fills them in; they are never set.
	LastSuccess time.Time `json:"last_success"`
	NextDue     time.Time `json:"next_due"`
	Breached    bool      `json:"breached"`

	// Names of what the job refers to, filled when a job is read.
	TargetName   string `json:"target,omitempty"`
	StoreName    string `json:"store,omitempty"`
	ScheduleName string `json:"schedule,omitempty"`
	PolicyName   string `json:"retention_policy,omitempty"`
}

// Values of Job.Overlap.
const (
	OverlapSkip    = "skip"    // the run is skipped
	OverlapQueue   = "queue"   // one waits for the end, later ones are skipped
	OverlapReplace = "replace" // what has not ended is canceled, then the run starts
)

// Limits of a job.
const (
	MaxAttempts = 100
	MaxBackoff  = 24 * 3600 // seconds
)

// Misses reports whether the job's objective is missed at now. A job that
// never succeeded counts from its creation, one that is paused like any other.
func (j *Job) Misses(now time.Time) bool {
	if j.RPO <= 0 {
		return false
	}
	from := j.CreatedAt
	if !j.LastSuccess.IsZero() {
		from = j.LastSuccess
	}
	return now.Sub(from) > time.Duration(j.RPO)*time.Second
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
	case "raw":
		if !j.Unencrypted {
			return FieldErrorf("compression", "is raw, which cannot be encrypted: unencrypted is to be set, too, or another compression")
		}
	default:
		return FieldErrorf("compression", "is %q: fastest, default, better, none or raw are allowed", j.Compression)
	}
	return FirstError(
		validateSeconds("timeout", j.Timeout, MaxExpiry), validateSeconds("idle_timeout", j.IdleTimeout, MaxExpiry),
		validateSeconds("rpo", j.RPO, MaxExpiry), validateSeconds("backoff", j.Backoff, MaxBackoff), j.validateRuns())
}

func (j *Job) validateRuns() error {
	switch j.Overlap {
	case "", OverlapSkip, OverlapQueue, OverlapReplace:
	default:
		return FieldErrorf("overlap", "is %.100q: %s, %s or %s are allowed", j.Overlap, OverlapSkip, OverlapQueue, OverlapReplace)
	}
	if j.Attempts < 0 || j.Attempts > MaxAttempts {
		return FieldErrorf("attempts", "is %d: 1 to %d are allowed, or 0 for the daemon's default", j.Attempts, MaxAttempts)
	}
	return nil
}

func validateSeconds(field string, n, most int64) error {
	switch {
	case n < 0:
		return FieldErrorf(field, "is %d seconds: it cannot be negative", n)
	case n > most:
		return FieldErrorf(field, "is %d seconds: at most %d are allowed", n, most)
	}
	return nil
}
