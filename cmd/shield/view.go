package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// A view says how one kind of thing is shown.
type view[T any] struct {
	kind    string
	columns []string
	row     func(*T) []string
	uuid    func(*T) string
	// more are the lines that show adds to the columns.
	more func(*T) [][2]string
}

func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table prints rows under headings.
func table(w io.Writer, columns []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(columns, "\t")))
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	return tw.Flush()
}

func printList[T any](e *env, all []*T, v view[T]) error {
	if e.json {
		return e.printJSON(all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(e.err, "there are none: see shield create %s --help\n", v.kind)
		return err
	}
	rows := make([][]string, 0, len(all))
	for _, one := range all {
		rows = append(rows, v.row(one))
	}
	return table(e.out, v.columns, rows)
}

func printOne[T any](e *env, one *T, v view[T]) error {
	if e.json {
		return e.printJSON(one)
	}
	tw := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	row := v.row(one)
	for i, c := range v.columns {
		fmt.Fprintf(tw, "%s:\t%s\n", c, row[i])
	}
	if v.more != nil {
		for _, l := range v.more(one) {
			fmt.Fprintf(tw, "%s:\t%s\n", l[0], l[1])
		}
	}
	fmt.Fprintf(tw, "uuid:\t%s\n", v.uuid(one))
	return tw.Flush()
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
	kind: "target", columns: []string{"name", "plugin", "agent", "summary"},
	row: func(t *shield.Target) []string { return []string{t.Name, t.Plugin, dash(t.Agent), t.Summary} },
	uuid: metaUUID(func(t *shield.Target) *shield.Meta {
		return &t.Meta
	}),
	more: func(t *shield.Target) [][2]string { return [][2]string{{"endpoint", string(t.Endpoint)}} },
}

var storeView = view[shield.Store]{
	kind: "store", columns: []string{"name", "plugin", "summary"},
	row:  func(s *shield.Store) []string { return []string{s.Name, s.Plugin, s.Summary} },
	uuid: metaUUID(func(s *shield.Store) *shield.Meta { return &s.Meta }),
	more: func(s *shield.Store) [][2]string { return [][2]string{{"endpoint", string(s.Endpoint)}} },
}

var scheduleView = view[shield.Schedule]{
	kind: "schedule", columns: []string{"name", "timespec", "timezone", "summary"},
	row: func(s *shield.Schedule) []string {
		return []string{s.Name, s.Timespec, cmp.Or(s.Timezone, "UTC"), s.Summary}
	},
	uuid: metaUUID(func(s *shield.Schedule) *shield.Meta { return &s.Meta }),
}

var policyView = view[shield.Policy]{
	kind: "retention policy", columns: []string{"name", "expiry", "summary"},
	row:  func(p *shield.Policy) []string { return []string{p.Name, keep(p.Expiry), p.Summary} },
	uuid: metaUUID(func(p *shield.Policy) *shield.Meta { return &p.Meta }),
}

var jobView = view[shield.Job]{
	kind: "job", columns: []string{"name", "target", "store", "schedule", "retention policy", "priority", "paused", "summary"},
	row: func(j *shield.Job) []string {
		return []string{j.Name, j.TargetName, j.StoreName, j.ScheduleName, j.PolicyName, strconv.Itoa(j.Priority), yes(j.Paused), j.Summary}
	},
	uuid: metaUUID(func(j *shield.Job) *shield.Meta { return &j.Meta }),
	more: func(j *shield.Job) [][2]string {
		return [][2]string{{"compression", cmp.Or(j.Compression, "fastest")}, {"encrypted", yes(!j.Unencrypted)}}
	},
}

var archiveView = view[shield.Archive]{
	kind: "archive", columns: []string{"uuid", "target", "store", "taken at", "expires at", "raw", "stored", "status", "notes"},
	row: func(a *shield.Archive) []string {
		return []string{a.UUID, a.TargetName, a.StoreName, moment(a.TakenAt), moment(a.ExpiresAt), size(a.RawSize), size(a.StoredSize), string(a.Status), a.Notes}
	},
	uuid: func(a *shield.Archive) string { return a.UUID },
	more: func(a *shield.Archive) [][2]string {
		return [][2]string{
			{"plugin", a.Plugin + " " + a.PluginVersion}, {"key", a.Key}, {"manifest", a.ManifestKey},
			{"raw bytes", strconv.FormatInt(a.RawSize, 10)}, {"raw digest", a.RawDigest},
			{"stored bytes", strconv.FormatInt(a.StoredSize, 10)}, {"stored digest", a.StoredDigest},
			{"compression", a.Compression}, {"encrypted", yes(a.Encrypted)}, {"purge reason", dash(a.PurgeReason)},
		}
	},
}

var taskView = view[shield.Task]{
	kind: "task", columns: []string{"uuid", "op", "status", "job", "target", "store", "requested at", "took", "raw", "stored"},
	row: func(t *shield.Task) []string {
		return []string{t.UUID, string(t.Op), string(t.Status), dash(t.JobName), dash(t.TargetName), dash(t.StoreName),
			moment(t.RequestedAt), took(t), size(t.Progress.RawBytes), size(t.Progress.StoredBytes)}
	},
	uuid: func(t *shield.Task) string { return t.UUID },
	more: func(t *shield.Task) [][2]string {
		return [][2]string{
			{"owner", t.Owner}, {"archive", dash(t.Archive)}, {"key", dash(t.Key)}, {"started at", moment(t.StartedAt)},
			{"stopped at", moment(t.StoppedAt)}, {"attempts", strconv.Itoa(t.Attempts)}, {"error", dash(t.Error)},
			{"log", "\n" + t.Log},
		}
	},
}

var runView = view[shield.Run]{
	kind: "run", columns: []string{"job", "due at", "status", "task", "reason"},
	row: func(r *shield.Run) []string {
		return []string{r.Job, moment(r.DueAt), string(r.Status), dash(r.Task), dash(r.Reason)}
	},
	uuid: func(r *shield.Run) string { return r.UUID },
}

var pluginView = view[server.PluginAnswer]{
	kind: "plugin", columns: []string{"name", "version", "target", "store", "summary"},
	row: func(p *server.PluginAnswer) []string {
		if p.Info == nil {
			return []string{p.Name, "-", "-", "-", p.Error}
		}
		return []string{p.Name, p.Info.Version, p.Info.Features.Target, p.Info.Features.Store, p.Info.Summary}
	},
	uuid: func(p *server.PluginAnswer) string { return dash("") },
	more: func(p *server.PluginAnswer) [][2]string {
		var lines [][2]string
		if p.Info == nil {
			return nil
		}
		for _, f := range p.Info.Fields {
			text := fmt.Sprintf("%s, for a %s: %s", f.Type, f.Mode, cmp.Or(f.Help, f.Title))
			if f.Required {
				text += " (required)"
			}
			if f.Default != "" {
				text += " (default " + f.Default + ")"
			}
			lines = append(lines, [2]string{"field " + f.Name, text})
		}
		return lines
	},
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

// keep shows a time to keep in the largest unit that divides it.
func keep(seconds int64) string {
	for _, u := range []byte("ywdhm") {
		if n := expiryUnits[u]; seconds%n == 0 {
			return fmt.Sprintf("%d%c", seconds/n, u)
		}
	}
	return fmt.Sprintf("%ds", seconds)
}
