package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	periods "github.com/shieldhq/shield/internal/period"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// A view says how one kind of thing is shown.
type view[T any] struct {
	kind    string
	columns []string
	row     func(*T) []string
	// uuid is nil where the columns have it, or nothing does.
	uuid func(*T) string
	// more are the lines that show adds to the columns.
	more func(*T) [][2]string
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func metaUUID[T any](m func(*T) *shield.Meta) func(*T) string {
	return func(v *T) string { return m(v).UUID }
}

var targetView = view[shield.Target]{
	kind: "target", columns: []string{"name", "plugin", "agent", "scratch", "summary"},
	row: func(t *shield.Target) []string {
		return []string{t.Name, t.Plugin, dash(t.Agent), yes(t.Scratch), t.Summary}
	},
	uuid: metaUUID(func(t *shield.Target) *shield.Meta {
		return &t.Meta
	}),
	more: func(t *shield.Target) [][2]string {
		return [][2]string{{"endpoint", endpointText(t.Endpoint)}, {"max tasks", maxTasks(t.MaxTasks)}}
	},
}

var storeView = view[shield.Store]{
	kind: "store", columns: []string{"name", "plugin", "summary"},
	row:  func(s *shield.Store) []string { return []string{s.Name, s.Plugin, s.Summary} },
	uuid: metaUUID(func(s *shield.Store) *shield.Meta { return &s.Meta }),
	more: func(s *shield.Store) [][2]string {
		return [][2]string{{"endpoint", endpointText(s.Endpoint)}, {"agent", dash(s.Agent)}, {"limit", limitText(&s.Limit)}, {"max tasks", maxTasks(s.MaxTasks)}}
	},
}

var scheduleView = view[shield.Schedule]{
	kind: "schedule", columns: []string{"name", "timespec", "timezone", "summary"},
	row: func(s *shield.Schedule) []string {
		return []string{s.Name, s.Timespec, zoneName(s), s.Summary}
	},
	uuid: metaUUID(func(s *shield.Schedule) *shield.Meta { return &s.Meta }),
	more: func(s *shield.Schedule) [][2]string {
		lines := [][2]string{{"jitter", jitter(s.Jitter)}, {"catch up", cmp.Or(s.CatchUp, shield.CatchUpOne)}}
		for _, w := range s.Blackout {
			lines = append(lines, [2]string{"blackout", w})
		}
		return lines
	},
}

var policyView = view[shield.Policy]{
	kind: "retention policy", columns: []string{"name", "expiry", "keeps", "summary"},
	row: func(p *shield.Policy) []string {
		return []string{p.Name, periods.Format(p.Expiry), dash(keepRules(p)), p.Summary}
	},
	uuid: metaUUID(func(p *shield.Policy) *shield.Meta { return &p.Meta }),
	more: func(p *shield.Policy) [][2]string {
		return [][2]string{{"min valid", strconv.Itoa(p.MinValid)}, {"timezone", cmp.Or(p.Timezone, "UTC")}}
	},
}

// keepRules are the rules of a policy, like "7 daily, 4 weekly".
func keepRules(p *shield.Policy) string {
	var rules []string
	for _, r := range []struct {
		n    int
		name string
	}{
		{p.KeepLast, "last"}, {p.KeepHourly, "hourly"}, {p.KeepDaily, "daily"},
		{p.KeepWeekly, "weekly"}, {p.KeepMonthly, "monthly"}, {p.KeepYearly, "yearly"},
	} {
		if r.n > 0 {
			rules = append(rules, fmt.Sprintf("%d %s", r.n, r.name))
		}
	}
	return strings.Join(rules, ", ")
}

var archiveView = view[shield.Archive]{
	kind: "archive", columns: []string{"uuid", "target", "store", "taken at", "expires at", "raw", "stored", "status", "notes"},
	row: func(a *shield.Archive) []string {
		return []string{a.UUID, a.TargetName, a.StoreName, moment(a.TakenAt), moment(a.ExpiresAt), size(a.RawSize), size(a.StoredSize), archiveStatus(a), a.Notes}
	},
	more: func(a *shield.Archive) [][2]string {
		return [][2]string{
			{"plugin", a.Plugin + " " + a.PluginVersion}, {"versions", versionsText(a.Versions)}, {"counts", countsText(a.Counts)}, {"key", a.Key}, {"manifest", a.ManifestKey},
			{"raw bytes", strconv.FormatInt(a.RawSize, 10)}, {"raw digest", a.RawDigest},
			{"stored bytes", strconv.FormatInt(a.StoredSize, 10)}, {"stored digest", a.StoredDigest},
			{"compression", a.Compression}, {"job uuid", a.Job}, {"encrypted", yes(a.Encrypted)}, {"recipients", dash(strings.Join(a.Recipients, ", "))}, {"held", yes(a.Held)}, {"purge reason", dash(a.PurgeReason)},
			{"suspicion", dash(a.Suspicion)}, {"acknowledged", acknowledgement(a)}, {"missing since", moment(a.MissingAt)},
		}
	},
}

// archiveStatus marks what is to be looked at.
func archiveStatus(a *shield.Archive) string {
	switch {
	case a.Suspicious():
		return string(a.Status) + ", SUSPICIOUS"
	case !a.MissingAt.IsZero():
		return string(a.Status) + ", MISSING"
	}
	return string(a.Status)
}

func acknowledgement(a *shield.Archive) string {
	if a.AcknowledgedAt.IsZero() {
		return "-"
	}
	text := "by " + a.AcknowledgedBy + " at " + moment(a.AcknowledgedAt)
	if a.AcknowledgedNote != "" {
		text += ": " + a.AcknowledgedNote
	}
	return text
}

// taskView leaves out the log, which is long.
var taskView = view[shield.Task]{
	kind: "task", columns: []string{"uuid", "op", "status", "job", "target", "store", "requested at", "took", "raw", "stored"},
	row: func(t *shield.Task) []string {
		return []string{t.UUID, string(t.Op), string(t.Status), dash(t.JobName), dash(t.TargetName), dash(t.StoreName),
			moment(t.RequestedAt), took(t), size(t.Progress.RawBytes), size(t.Progress.StoredBytes)}
	},
	more: func(t *shield.Task) [][2]string {
		lines := [][2]string{
			{"owner", t.Owner}, {"archive", dash(t.Archive)}, {"key", dash(t.Key)}, {"started at", moment(t.StartedAt)},
			{"stopped at", moment(t.StoppedAt)}, {"not before", moment(t.NotBefore)}, {"attempts", attempts(t)}, {"error", dash(t.Error)},
		}
		if t.Status == shield.TaskPending && t.Attempts > 0 {
			lines = append(lines, [2]string{"next attempt", "at " + moment(t.NotBefore)})
		}
		return append(lines, findingsLines(t.Findings)...)
	},
}

// runView shows jobs by their names.
func runView(jobs map[string]string) view[shield.Run] {
	return view[shield.Run]{
		kind: "run", columns: []string{"job", "due at", "status", "task", "reason"},
		row: func(r *shield.Run) []string {
			return []string{cmp.Or(jobs[r.Job], r.Job), moment(r.DueAt), string(r.Status), dash(r.Task), dash(r.Reason)}
		},
	}
}

var eventView = view[shield.Event]{
	kind: "event", columns: []string{"at", "kind", "subject", "message"},
	row: func(v *shield.Event) []string {
		return []string{moment(v.At), string(v.Kind), dash(v.Subject), v.Message}
	},
}

var pluginView = view[plugin.Offer]{
	kind: "plugin", columns: []string{"name", "version", "target", "store", "runs", "summary"},
	row: func(p *plugin.Offer) []string {
		if p.Info == nil {
			return []string{p.Name, "-", "-", "-", "-", p.Error}
		}
		return []string{p.Name, p.Info.Version, p.Info.Features.Target, p.Info.Features.Store, p.Info.Runs.Words(), p.Info.Summary}
	},
	more: func(p *plugin.Offer) [][2]string {
		var lines [][2]string
		if p.Info == nil {
			return nil
		}
		for _, f := range p.Info.Fields {
			text := fmt.Sprintf("%s, for a %s", f.Type, f.Mode)
			if f.Required {
				text += ", required"
			}
			if f.IsSecret() {
				text += ", secret"
			}
			if f.Default != "" {
				text += ", default " + f.Default
			}
			lines = append(lines, [2]string{"field " + f.Name, text})
			if help := cmp.Or(f.Help, f.Title); help != "" {
				lines = append(lines, [2]string{"", help})
			}
		}
		return lines
	},
}

func findingsLines(f *shield.Findings) [][2]string {
	if f == nil {
		return nil
	}
	var lines [][2]string
	if len(f.Counts)+len(f.Versions) > 0 {
		lines = append(lines, [2]string{"counts", countsText(f.Counts)}, [2]string{"versions", versionsText(f.Versions)})
	}
	if r := f.Reconciliation; r != nil {
		lines = append(lines, [2]string{"reconciled", reconciled(r)})
		for _, d := range r.Differences {
			lines = append(lines, [2]string{string(d.Kind), d.Key + " " + d.Text})
		}
	}
	for _, p := range f.Preflight {
		lines = append(lines, [2]string{"preflight", p.Check + " " + string(p.State) + ": " + p.Text})
	}
	for _, c := range f.Checks {
		verdict := "passed"
		if !c.Passed {
			verdict = "FAILED: " + c.Error
		}
		lines = append(lines, [2]string{"check", c.Name + ": " + verdict})
	}
	return lines
}

// countsText shows counts like "3 databases, 41 tables".
func countsText(counts map[string]int64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return dash(strings.Join(parts, ", "))
}

func versionsText(versions map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		parts = append(parts, name+" "+versions[name])
	}
	return dash(strings.Join(parts, ", "))
}

func limitText(l *shield.Limit) string {
	b, err := json.Marshal(l)
	if err != nil || string(b) == "{}" {
		return "-"
	}
	return string(b)
}

// endpointText shows an endpoint without the escapes that are for browsers.
func endpointText(e shield.Endpoint) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	fields, err := e.Fields()
	if err != nil || enc.Encode(fields) != nil {
		return string(e)
	}
	return strings.TrimSpace(b.String())
}

func dash(s string) string { return cmp.Or(s, "-") }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func took(t *shield.Task) string {
	if t.StartedAt.IsZero() || t.StoppedAt.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%.1f s", t.StoppedAt.Sub(t.StartedAt).Seconds())
}

// zoneName is the zone that a schedule goes by, which its timespec can name.
func zoneName(s *shield.Schedule) string {
	spec, _ := timespec.Parse(s.Timespec) // by a newer daemon, for what is wrong here
	return cmp.Or(s.Timezone, spec.Zone(), "UTC")
}

func jitter(seconds int64) string {
	if seconds == 0 {
		return "none"
	}
	return "below " + periods.Format(seconds)
}

func maxTasks(n int) string {
	if n == 0 {
		return "no limit of its own"
	}
	return strconv.Itoa(n)
}

// attempts tells how often a task was tried, and how often it is in all.
func attempts(t *shield.Task) string {
	if t.MaxAttempts > 1 {
		return fmt.Sprintf("%d of %d", t.Attempts, t.MaxAttempts)
	}
	return strconv.Itoa(t.Attempts)
}

func timeout(seconds int64) string {
	if seconds == 0 {
		return "the daemon's default"
	}
	return periods.Format(seconds)
}
