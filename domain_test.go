package shield_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// TestTransitionsAreDocumented holds docs/tasks.md to the table.
func TestTransitionsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("docs/tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, x := range shield.Transitions() {
		row := fmt.Sprintf("| %s | %s | %s | %s |", x.From, x.To, x.By, x.When)
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/tasks.md lacks the row %s", row)
		}
		rows++
	}
	if got := strings.Count(string(doc), "\n| pending |") + strings.Count(string(doc), "\n| running |"); got != rows {
		t.Errorf("docs/tasks.md has %d rows, the table %d", got, rows)
	}
}

func TestTaskStates(t *testing.T) {
	states := []shield.TaskStatus{shield.TaskPending, shield.TaskRunning, shield.TaskDone, shield.TaskFailed, shield.TaskCanceled}
	for _, from := range states {
		for _, to := range states {
			if shield.CanMove(from, to) && from.Final() {
				t.Errorf("%s is final, but can become %s", from, to)
			}
		}
	}
	if shield.CanMove(shield.TaskPending, shield.TaskDone) {
		t.Error("a task can be done without having run")
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("disk on fire")
	err := fmt.Errorf("outer: %w", shield.Errorf(shield.StoreFailed, "fs.Put", "writing: %w", cause))
	if !errors.Is(err, shield.StoreFailed) || !errors.Is(err, cause) || errors.Is(err, shield.NotFound) {
		t.Errorf("codes and causes of %v", err)
	}
	if got := err.Error(); got != "outer: fs.Put: writing: disk on fire" {
		t.Errorf("got %q", got)
	}
	for _, c := range []struct {
		err  error
		want shield.Code
	}{{nil, ""}, {cause, shield.Internal}, {err, shield.StoreFailed}, {shield.NotFound, shield.NotFound}} {
		if got := shield.CodeOf(c.err); got != c.want {
			t.Errorf("the code of %v is %q, want %q", c.err, got, c.want)
		}
	}
}

func TestMayPass(t *testing.T) {
	passing := []shield.Code{shield.Unavailable, shield.TimedOut, shield.Interrupted, shield.Locked, shield.TargetFailed, shield.StoreFailed}
	staying := []shield.Code{
		shield.Invalid, shield.NotFound, shield.Conflict, shield.InUse, shield.Unauthorized, shield.Forbidden, shield.Canceled,
		shield.Corrupt, shield.PluginFailed, shield.Internal, "unknown", "",
	}
	side := func(cause error) error {
		return &shield.Error{Code: shield.TargetFailed, Message: "target db failed", Err: cause}
	}
	for _, c := range passing {
		if err := shield.Errorf(c, "", "oops"); !shield.MayPass(err) || !shield.MayPass(side(fmt.Errorf("dump: %w", err))) {
			t.Errorf("%s does not pass", c)
		}
	}
	for _, c := range staying {
		if err := shield.Errorf(c, "", "oops"); shield.MayPass(err) || shield.MayPass(side(fmt.Errorf("dump: %w", err))) {
			t.Errorf("%s passes", c)
		}
	}
	if shield.MayPass(nil) || shield.MayPass(errors.New("oops")) || !shield.MayPass(side(errors.New("oops"))) {
		t.Error("nothing, a foreign error and a side's own failure: want only the last to pass")
	}
	doc, err := os.ReadFile("docs/tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "| tried again | not tried again |")
	again, never, _ := strings.Cut(strings.Split(table, "\n")[2], " | ")
	for _, c := range passing {
		if !strings.Contains(again, "`"+string(c)+"`") {
			t.Errorf("docs/tasks.md does not say that %s is tried again", c)
		}
	}
	for _, c := range staying[:10] {
		if !strings.Contains(never, "`"+string(c)+"`") {
			t.Errorf("docs/tasks.md does not say that %s is not tried again", c)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	const text = "hunter2"
	holder := struct{ Token shield.Secret }{text}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", holder.Token)
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	outputs := []string{log.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		outputs = append(outputs, fmt.Sprintf(verb, holder), fmt.Sprintf(verb, holder.Token))
	}
	endpoint := shield.Endpoint(`{"password":"` + text + `"}`)
	outputs = append(outputs, fmt.Sprintf("%v %+v %#v %s", endpoint, endpoint, endpoint, endpoint))
	for _, o := range outputs {
		if strings.Contains(o, text) {
			t.Errorf("a secret shows in %q", o)
		}
	}
	if holder.Token.Reveal() != text {
		t.Error("Reveal does not reveal")
	}
}

func TestValidateName(t *testing.T) {
	for _, name := range []string{"a", "prod db", "naïve/名前", strings.Repeat("x", 100)} {
		if err := shield.ValidateName("name", name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " a", "a ", "a\x00b", "a\nb", "\xff", strings.Repeat("x", 101), "0123abcd-0123-0123-0123-0123456789ab"} {
		if err := shield.ValidateName("name", name); !errors.Is(err, shield.Invalid) {
			t.Errorf("%.50q: %v, want Invalid", name, err)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	good, err := shield.ParseEndpoint([]byte(` { "a" : 1, "b": {"c": [2]} } `))
	if err != nil || string(good) != `{"a":1,"b":{"c":[2]}}` {
		t.Errorf("got %s, %v", []byte(good), err)
	}
	const secret = "hunter2"
	for _, text := range []string{
		"", "null", "[]", `"` + secret + `"`, `{"a":1,"a":2}`, `{"a":"` + secret + `"`, `{"a":"` + secret + `"} x`,
		`{"a":` + secret + `}`, `{"a" "b"}`, `{} {}`, strings.Repeat(" ", shield.EndpointLimit+1),
	} {
		_, err := shield.ParseEndpoint([]byte(text))
		if !errors.Is(err, shield.Invalid) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.40q: %v, want Invalid without the value", text, err)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":{"b":"c"}}`, `{"a":`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := shield.ParseEndpoint(text)
		if err != nil {
			return
		}
		again, err := shield.ParseEndpoint(e)
		if err != nil || string(again) != string(e) {
			t.Errorf("%q is taken as %q, and that as %q, %v", text, []byte(e), []byte(again), err)
		}
	})
}

func TestValidation(t *testing.T) {
	meta := shield.Meta{Name: "x"}
	job := shield.Job{Meta: meta, Target: "t", Store: "s", Schedule: "c", Policy: "p"}
	with := func(change func(*shield.Job)) *shield.Job { j := job; change(&j); return &j }
	for _, c := range []struct {
		field string
		v     interface{ Validate() error }
	}{
		{"", &job},
		{"target", with(func(j *shield.Job) { j.Target = "" })},
		{"store", with(func(j *shield.Job) { j.Store = "" })},
		{"schedule", with(func(j *shield.Job) { j.Schedule = "" })},
		{"retention_policy", with(func(j *shield.Job) { j.Policy = "" })},
		{"priority", with(func(j *shield.Job) { j.Priority = 101 })},
		{"priority", with(func(j *shield.Job) { j.Priority = -1 })},
		{"compression", with(func(j *shield.Job) { j.Compression = "best" })},
		{"timeout", with(func(j *shield.Job) { j.Timeout = -1 })},
		{"name", &shield.Target{Plugin: "fs", Endpoint: shield.Endpoint(`{}`)}},
		{"plugin", &shield.Target{Meta: meta, Endpoint: shield.Endpoint(`{}`)}},
		{"endpoint", &shield.Store{Meta: meta, Plugin: "fs"}},
		{"timespec", &shield.Schedule{Meta: meta}},
		{"", &shield.Schedule{Meta: meta, Timespec: "daily 4:00", Jitter: shield.MaxJitter, CatchUp: shield.CatchUpOne}},
		{"jitter", &shield.Schedule{Meta: meta, Timespec: "daily 4:00", Jitter: shield.MaxJitter + 1}},
		{"jitter", &shield.Schedule{Meta: meta, Timespec: "daily 4:00", Jitter: -1}},
		{"blackout", &shield.Schedule{Meta: meta, Timespec: "daily 4:00", Blackout: make([]string, shield.MaxBlackout+1)}},
		{"blackout", &shield.Schedule{Meta: meta, Timespec: "daily 4:00", Blackout: []string{"\x00"}}},
		{"catch_up", &shield.Schedule{Meta: meta, Timespec: "daily 4:00", CatchUp: "two"}},
		{"expiry", &shield.Policy{Meta: meta}},
		{"expiry", &shield.Policy{Meta: meta, Expiry: shield.MaxExpiry + 1}},
		{"", with(func(j *shield.Job) {
			j.Overlap, j.Attempts, j.Backoff, j.RPO = shield.OverlapReplace, shield.MaxAttempts, shield.MaxBackoff, shield.MaxExpiry
		})},
		{"overlap", with(func(j *shield.Job) { j.Overlap = "both" })},
		{"attempts", with(func(j *shield.Job) { j.Attempts = -1 })},
		{"attempts", with(func(j *shield.Job) { j.Attempts = shield.MaxAttempts + 1 })},
		{"backoff", with(func(j *shield.Job) { j.Backoff = -1 })},
		{"backoff", with(func(j *shield.Job) { j.Backoff = shield.MaxBackoff + 1 })},
		{"idle_timeout", with(func(j *shield.Job) { j.IdleTimeout = -1 })},
		{"timeout", with(func(j *shield.Job) { j.Timeout = shield.MaxExpiry + 1 })},
		{"rpo", with(func(j *shield.Job) { j.RPO = -1 })},
		{"rpo", with(func(j *shield.Job) { j.RPO = shield.MaxExpiry + 1 })},
		{"max_tasks", &shield.Target{Meta: meta, Plugin: "fs", Endpoint: shield.Endpoint("{}"), MaxTasks: -1}},
		{"max_tasks", &shield.Store{Meta: meta, Plugin: "fs", Endpoint: shield.Endpoint("{}"), MaxTasks: shield.MostTasks + 1}},
		{"retention", &shield.Task{Op: shield.OpBackup, TargetPlugin: "fs", StorePlugin: "fs", Archive: "a", Key: "k"}},
		{"op", &shield.Task{Op: "format"}},
	} {
		err := c.v.Validate()
		var e *shield.Error
		if c.field == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.v, err)
			}
		} else if !errors.As(err, &e) || e.Field != c.field || e.Code != shield.Invalid {
			t.Errorf("%T: got %v, want Invalid about %s", c.v, err, c.field)
		}
	}
}

func TestLimit(t *testing.T) {
	const office = `{"up":"20MiB","timezone":"Europe/Rome","windows":[
		{"days":"weekdays","from":"08:00","to":"18:00","up":"2MiB","down":"10MB"},
		{"days":"fri-sun","from":"22:00","to":"06:00","up":"none"}]}`
	at := func(text string) time.Time {
		when, err := time.Parse("Mon 2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		limit, at string
		up, down  int64
	}{
		{`{}`, "Mon 2026-11-23 09:00", 0, 0},
		{`{"up":"none","down":"1500kB"}`, "Mon 2026-11-23 09:00", 0, 1_500_000},
		{office, "Mon 2026-11-23 07:59", 20 << 20, 0},
		{office, "Mon 2026-11-23 08:00", 2 << 20, 10_000_000},
		{office, "Mon 2026-11-23 17:59", 2 << 20, 10_000_000},
		{office, "Mon 2026-11-23 18:00", 20 << 20, 0},
		{office, "Sat 2026-11-21 09:00", 20 << 20, 0},
		{office, "Fri 2026-11-20 22:00", 0, 0},
		{office, "Mon 2026-11-23 05:59", 0, 0},        // still Sunday's
		{office, "Fri 2026-11-20 05:59", 20 << 20, 0}, // Thursday has none
		{`{"windows":[{"from":"00:00","to":"24:00","up":"1.5KiB"}]}`, "Sun 2026-11-22 23:59", 1536, 0},
	} {
		var l shield.Limit
		if err := json.Unmarshal([]byte(c.limit), &l); err != nil {
			t.Fatal(err)
		}
		up, down, err := l.Rates(at(c.at))
		if err != nil || up != c.up || down != c.down {
			t.Errorf("%s at %s: %d and %d (%v), want %d and %d", c.limit, c.at, up, down, err, c.up, c.down)
		}
	}
	for text, field := range map[string]string{
		`{"up":"fast"}`: "limit.up", `{"down":"0"}`: "limit.down", `{"up":"1"}`: "limit.up", `{"up":"-5MiB"}`: "limit.up",
		`{"up":"NaN"}`: "limit.up", `{"up":"9999999TiB"}`: "limit.up", `{"up":"5MiBB"}`: "limit.up",
		`{"windows":[{"from":"8","to":"9:00"}]}`:                                             "limit.windows[0].from",
		`{"windows":[{"from":"08:00","to":"25:00"}]}`:                                        "limit.windows[0].to",
		`{"windows":[{"from":"08:00","to":"08:00"}]}`:                                        "limit.windows[0].to",
		`{"windows":[{"from":"08:00","to":"09:00"},{"days":"x","from":"1:00","to":"2:00"}]}`: "limit.windows[1].days",
		`{"windows":[{"from":"08:00","to":"09:00","down":"x"}]}`:                             "limit.windows[0].down",
	} {
		var l shield.Limit
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		var e *shield.Error
		if err := l.Validate(); !errors.As(err, &e) || e.Code != shield.Invalid || e.Field != field {
			t.Errorf("%s: %v, want one about %s", text, err, field)
		}
	}
}
