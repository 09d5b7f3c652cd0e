package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/period"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// A form is what the values of a field look like in a document.
type form int

const (
	text form = iota
	number
	flag
	length    // of time: seconds, or text like 30d
	texts     // a list
	limit     // of a store: a rate for both directions, or a mapping
	endpoint  // a mapping, which the plugin knows
	reference // the name of another kind's
)

// A field is one key of a thing in a document, and the member of the same name
// of its JSON object.
type field struct {
	name     string
	form     form
	help     string
	required bool
	of       string // the kind that a reference is to
	words    []string
	// preset is what a document means that does not have the field.
	preset any
	// kept says that a document which does not have the field leaves it as it
	// is.
	kept bool
}

// A kind is one kind of things that documents describe.
type kind struct {
	name   string // "retention policy"
	key    string // of documents: "retention_policies"
	path   string // of the API
	role   plugin.Role
	fields []field
	check  func(object) error
}

// An object is a thing as JSON has it.
type object = map[string]any

var summary = field{name: "summary", form: text, help: "What it is for.", preset: ""}

// kinds are all kinds, each after those that it refers to.
var kinds = []*kind{
	{name: "schedule", key: "schedules", path: "/v1/schedules", check: checked(checkSchedule), fields: []field{
		summary,
		{name: "timespec", form: text, required: true, help: `When: "daily 4:00", "every 5 minutes", or a cron line.`},
		{name: "timezone", form: text, kept: true, help: "IANA time zone. A new one without gets the daemon's."},
		{name: "jitter", form: length, preset: 0, help: "Each job on it begins at its own time below this later."},
		{name: "blackout", form: texts, preset: []any{}, help: `Windows in which no run starts, like "weekdays 8:00 to 18:00".`},
		{name: "catch_up", form: text, preset: shield.CatchUpOne, words: []string{shield.CatchUpOne, shield.CatchUpNone}, help: "Whether a run that was missed is made up for."},
	}},
	{name: "retention policy", key: "retention_policies", path: "/v1/retention", check: checked(checkPolicy), fields: []field{
		summary,
		{name: "expiry", form: length, required: true, help: "How long an archive is kept."},
		{name: "keep_last", form: number, preset: 0, help: "Keep this many of the newest archives of a job beyond that."},
		{name: "keep_hourly", form: number, preset: 0, help: "Keep the newest archive of each of the newest so many hours that have one."},
		{name: "keep_daily", form: number, preset: 0, help: "The same with days."},
		{name: "keep_weekly", form: number, preset: 0, help: "The same with weeks, which begin on Monday."},
		{name: "keep_monthly", form: number, preset: 0, help: "The same with months."},
		{name: "keep_yearly", form: number, preset: 0, help: "The same with years."},
		{name: "min_valid", form: number, preset: 1, help: "How many of the newest valid archives of a target are never purged."},
		{name: "timezone", form: text, preset: "", help: "IANA time zone of hours, days and so on; none: UTC."},
	}},
	{name: "store", key: "stores", path: "/v1/stores", role: plugin.RoleStore, check: checked(checkStore), fields: []field{
		summary,
		{name: "plugin", form: text, required: true, help: "The plugin that knows this kind of storage."},
		{name: "endpoint", form: endpoint, required: true, help: "Its settings, which the plugin declares."},
		{name: "agent", form: text, preset: "", help: "The agent that reaches it, or daemon; none: the daemon, and the agent of a target if the plugin needs nothing but the network."},
		{name: "limit", form: limit, preset: object{}, help: "Bytes a second that may move: a rate like 20MiB for both directions, or up, down, timezone and windows."},
		{name: "max_tasks", form: number, preset: 0, help: "How many tasks may work with it at once; 0: no limit of its own."},
	}},
	{name: "target", key: "targets", path: "/v1/targets", role: plugin.RoleTarget, check: checked((*shield.Target).Validate), fields: []field{
		summary,
		{name: "plugin", form: text, required: true, help: "The plugin that knows this kind of data system."},
		{name: "endpoint", form: endpoint, required: true, help: "Its settings, which the plugin declares."},
		{name: "agent", form: text, preset: "", help: "The agent that reaches it; none: the daemon itself."},
		{name: "max_tasks", form: number, preset: 0, help: "How many tasks may work on it at once; 0: no limit of its own."},
		{name: "scratch", form: flag, preset: false, help: "It exists to be overwritten: a restore into it needs no confirmation."},
	}},
	{name: "job", key: "jobs", path: "/v1/jobs", check: checked(checkJob), fields: []field{
		summary,
		{name: "target", form: reference, of: "target", required: true, help: "The target to back up."},
		{name: "store", form: reference, of: "store", required: true, help: "The store that archives go into."},
		{name: "schedule", form: reference, of: "schedule", required: true, help: "The schedule it runs on."},
		{name: "retention_policy", form: reference, of: "retention policy", required: true, help: "How long its archives are kept."},
		{name: "priority", form: number, preset: shield.DefaultPriority, help: "0, first, to 100, last."},
		{name: "paused", form: flag, kept: true, help: "Do not start it by its schedule. Where a document does not say, who pauses it at night need not fear the next apply."},
		{name: "compression", form: text, preset: "", help: "fastest, default, better, none or raw; none given: what fits the store."},
		{name: "unencrypted", form: flag, preset: false, help: "Store archives in the clear."},
		{name: "timeout", form: length, preset: 0, help: "After so long a task of it is ended; 0: the daemon's default."},
		{name: "idle_timeout", form: length, preset: 0, help: "After so long without a byte that moves a task of it is ended; 0: the daemon's default."},
		{name: "overlap", form: text, preset: shield.OverlapSkip, help: "What becomes of a run while a backup has not ended.",
			words: []string{shield.OverlapSkip, shield.OverlapQueue, shield.OverlapReplace}},
		{name: "attempts", form: number, preset: 0, help: "How often a backup is tried in all; 0: the daemon's default."},
		{name: "backoff", form: length, preset: 0, help: "How long it waits after the first attempt; 0: the daemon's default."},
		{name: "rpo", form: length, preset: 0, help: "Objective: how old the newest good backup may be; 0: none."},
	}},
}

// named returns the kind called name.
func named(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("apply: no kind " + name)
}

// checked makes a check of objects of one of a noun.
func checked[T any](check func(*T) error) func(object) error {
	return func(o object) error {
		v := new(T)
		if err := reshape(o, v); err != nil {
			return err
		}
		return check(v)
	}
}

// reshape puts in into out by way of JSON.
func reshape(in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func checkSchedule(s *shield.Schedule) error {
	if err := s.Validate(); err != nil {
		return err
	}
	made, err := timespec.New(s)
	if err == nil && made.Next(time.Now(), "").IsZero() {
		err = shield.FieldErrorf("timespec", "%q is over: a time to come is wanted", s.Timespec)
	}
	return err
}

func checkPolicy(p *shield.Policy) error {
	_, err := timespec.Location(p.Timezone)
	return shield.FirstError(p.Validate(), err)
}

func checkStore(s *shield.Store) error {
	_, err := timespec.Location(s.Limit.Timezone)
	return shield.FirstError(s.Validate(), err)
}

func checkJob(j *shield.Job) error {
	j.Target, j.Store, j.Schedule, j.Policy = j.TargetName, j.StoreName, j.ScheduleName, j.PolicyName
	return j.Validate()
}

// read turns a value of a document into that of the JSON object.
func (f *field) read(v any) (any, error) {
	switch f.form {
	case number:
		return integer(v)
	case flag:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, errors.New("must be true or false")
	case length:
		return seconds(v)
	case texts:
		return list(v)
	case limit:
		return rates(v)
	case endpoint:
		if m, ok := v.(map[string]any); ok {
			return m, nil
		}
		return nil, errors.New("must be a mapping of the fields that the plugin declares")
	}
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("must be text: put it in quotes")
	}
	return s, f.word(s)
}

func (f *field) word(s string) error {
	if f.words == nil {
		return nil
	}
	for _, w := range f.words {
		if s == w {
			return nil
		}
	}
	return fmt.Errorf("is %.100q: it must be one of %s", s, strings.Join(f.words, ", "))
}

func integer(v any) (any, error) {
	switch n := v.(type) {
	case uint64:
		if n <= math.MaxInt64 {
			return int64(n), nil
		}
	case int64:
		return n, nil
	}
	return nil, errors.New("must be a whole number")
}

func seconds(v any) (any, error) {
	if s, ok := v.(string); ok {
		return period.Parse(s)
	}
	if n, err := integer(v); err == nil {
		return n, nil
	}
	return nil, errors.New("must be a number of seconds, or a time like 30d")
}

func list(v any) (any, error) {
	all, ok := v.([]any)
	for _, one := range all {
		if _, isText := one.(string); !isText {
			ok = false
		}
	}
	if !ok {
		return nil, errors.New("must be a list of texts")
	}
	return all, nil
}

func rates(v any) (any, error) {
	switch l := v.(type) {
	case string:
		return object{"up": l, "down": l}, nil
	case map[string]any:
		b, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		return strictLimit(b)
	}
	return nil, errors.New("must be a rate like 20MiB, or a mapping")
}
