package task_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A told is the plugin "memory" of which a test says what it answers.
type told struct {
	plugin.Opener
	info  func(*plugin.Info)
	test  error // of the target's test
	blind bool  // the store cannot list
	shut  bool  // the store may not list
	bare  bool  // the target has no test
	used  bool  // the target was restored
}

func (o *told) Info(ctx context.Context) (plugin.Info, error) {
	i, err := o.Opener.Info(ctx)
	if o.info != nil {
		o.info(&i)
	}
	return i, err
}

func (o *told) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	t, err := o.Opener.OpenTarget(ctx, e, log)
	if err != nil {
		return nil, err
	}
	plain := &toldTarget{t, o}
	if o.bare {
		return struct{ plugin.Target }{plain}, nil
	}
	return plain, nil
}

func (o *told) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	s, err := o.Opener.OpenStore(ctx, e, log)
	if err == nil && o.blind {
		s = struct{ plugin.Store }{s}
	}
	if err == nil && o.shut {
		s = shutStore{s}
	}
	return s, err
}

type shutStore struct{ plugin.Store }

func (shutStore) List(context.Context, string, func(plugin.Object) error) error {
	return shield.Errorf(shield.Forbidden, "", "ListBucket is denied")
}

type toldTarget struct {
	plugin.Target
	o *told
}

func (t *toldTarget) Test(context.Context) error { return t.o.test }

func (t *toldTarget) Restore(ctx context.Context, r io.Reader) error {
	t.o.used = true
	return t.Target.Restore(ctx, r)
}

// TestPreflight: what each check makes of what can be, that a dry run restores
// nothing, and that a restore which is refused has not touched its target.
func TestPreflight(t *testing.T) {
	t.Parallel()
	gone := shield.Errorf(shield.NotFound, "", "there is no database copy")
	for name, c := range map[string]struct {
		set         func(b *bench, o *told, t *shield.Task)
		check       string
		state, real shield.FindingState // of a dry run, and of a restore if that is another
		code        shield.Code
		text        string
	}{
		"same version": {func(*bench, *told, *shield.Task) {}, shield.CheckPlugin, shield.FindingOK, "", "", "memory 1.0.0 made the archive"},
		"newer minor version": {func(_ *bench, o *told, _ *shield.Task) {
			o.info = func(i *plugin.Info) { i.Version = "1.7.2" }
		}, shield.CheckPlugin, shield.FindingOK, "", "", "version 1.7.2 restores it"},
		"other major version": {func(_ *bench, o *told, _ *shield.Task) {
			o.info = func(i *plugin.Info) { i.Version = "2.0.0" }
		}, shield.CheckPlugin, shield.FindingFailed, "", shield.PluginFailed, "install a version 1"},
		"the very module": {func(_ *bench, o *told, t *shield.Task) {
			t.Expected.PluginDigest, t.Expected.PluginVersion = "sha256:it", "9.0.0"
			o.info = func(i *plugin.Info) { i.Digest = "sha256:it" }
		}, shield.CheckPlugin, shield.FindingOK, "", "", "that very version"},
		"unknown version": {func(_ *bench, _ *told, t *shield.Task) { t.Expected.PluginVersion = "" }, shield.CheckPlugin, shield.FindingSkipped, "", "", "not known"},
		"no plugin":       {func(_ *bench, _ *told, t *shield.Task) { t.TargetPlugin = "nope" }, shield.CheckPlugin, shield.FindingFailed, "", shield.Invalid, `"nope" is unknown`},
		"wrong endpoint": {func(_ *bench, _ *told, t *shield.Task) {
			t.TargetEndpoint = shield.Endpoint(`{}`)
		}, shield.CheckPlugin, shield.FindingFailed, "", shield.Invalid, "is missing"},

		"usable target":      {func(*bench, *told, *shield.Task) {}, shield.CheckTarget, shield.FindingOK, "", "", "can be reached"},
		"target without":     {func(_ *bench, o *told, _ *shield.Task) { o.test = gone }, shield.CheckTarget, shield.FindingWarning, "", shield.NotFound, "may mend"},
		"forbidden target":   {func(_ *bench, o *told, _ *shield.Task) { o.test = shield.Forbidden }, shield.CheckTarget, shield.FindingWarning, "", shield.Forbidden, "may mend"},
		"unreachable target": {func(_ *bench, o *told, _ *shield.Task) { o.test = shield.Unavailable }, shield.CheckTarget, shield.FindingFailed, "", shield.Unavailable, "target copy"},
		"slow target":        {func(_ *bench, o *told, _ *shield.Task) { o.test = shield.TimedOut }, shield.CheckTarget, shield.FindingFailed, "", shield.TimedOut, "target copy"},
		"closed target":      {func(_ *bench, o *told, _ *shield.Task) { o.test = shield.Unauthorized }, shield.CheckTarget, shield.FindingFailed, "", shield.Unauthorized, "target copy"},
		"stopped target": {func(_ *bench, o *told, _ *shield.Task) {
			o.test, o.info = shield.Unavailable, func(i *plugin.Info) { i.RestoresStopped = map[string]string{"name": "copy"} }
		}, shield.CheckTarget, shield.FindingSkipped, "", "", "stopped"},
		"target that is not stopped": {func(_ *bench, o *told, _ *shield.Task) {
			o.test, o.info = shield.Unavailable, func(i *plugin.Info) { i.RestoresStopped = map[string]string{"name": "other"} }
		}, shield.CheckTarget, shield.FindingFailed, "", shield.Unavailable, "target copy"},
		"target without a test": {func(_ *bench, o *told, _ *shield.Task) { o.bare = true }, shield.CheckTarget, shield.FindingSkipped, "", "", "no test"},
		"room":                  {func(*bench, *told, *shield.Task) {}, shield.CheckSpace, shield.FindingSkipped, "", "", "room for the 3145728 bytes"},

		"store with the blob": {func(*bench, *told, *shield.Task) {}, shield.CheckStore, shield.FindingOK, "", "", "store vault has"},
		"store without it":    {func(b *bench, _ *told, t *shield.Task) { b.memory.RemoveBlob("vault", t.Key) }, shield.CheckStore, shield.FindingFailed, "", shield.NotFound, "it has no"},
		"store with less of it": {func(b *bench, _ *told, t *shield.Task) {
			b.memory.SetBlob("vault", t.Key, []byte("x"))
		}, shield.CheckStore, shield.FindingFailed, "", shield.Corrupt, "has 1 bytes, where"},
		"no store plugin":         {func(_ *bench, _ *told, t *shield.Task) { t.StorePlugin = "nope" }, shield.CheckStore, shield.FindingFailed, "", shield.Invalid, `"nope" is unknown`},
		"blind store":             {func(_ *bench, o *told, _ *shield.Task) { o.blind = true }, shield.CheckStore, shield.FindingOK, shield.FindingSkipped, "", "2026/11/22/"},
		"store that may not list": {func(_ *bench, o *told, _ *shield.Task) { o.shut = true }, shield.CheckStore, shield.FindingOK, shield.FindingSkipped, "", "2026/11/22/"},
		"store that may not list, without it": {func(b *bench, o *told, t *shield.Task) {
			o.shut = true
			b.memory.RemoveBlob("vault", t.Key)
		}, shield.CheckStore, shield.FindingFailed, shield.FindingSkipped, shield.NotFound, "2026/11/22/"},
		"blind store without it": {func(b *bench, o *told, t *shield.Task) {
			o.blind = true
			b.memory.RemoveBlob("vault", t.Key)
		}, shield.CheckStore, shield.FindingFailed, shield.FindingSkipped, shield.NotFound, "2026/11/22/"},
		"blind store with nothing in it": {func(b *bench, o *told, t *shield.Task) {
			o.blind = true
			b.memory.SetBlob("vault", t.Key, nil)
		}, shield.CheckStore, shield.FindingFailed, shield.FindingSkipped, shield.Corrupt, "2026/11/22/"},
	} {
		for _, op := range []shield.Op{shield.OpPreflight, shield.OpRestore} {
			t.Run(name+"/"+string(op), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				want, code := c.state, c.code
				if op == shield.OpRestore && c.real != "" {
					want, code = c.real, ""
				}
				a := b.backup(t)
				o, plugins := &told{Opener: b.memory}, plugin.NewRegistry()
				if err := plugins.Register("memory", o); err != nil {
					t.Fatal(err)
				}
				x := restoreTask(a)
				x.Op = op
				c.set(b, o, x)
				r, err := b.runnerOver(plugins).Run(t.Context(), x, &b.monitor)
				f := findingOf(t, r, c.check)
				if f.State != want || f.Code != code || !strings.Contains(f.Text, c.text) {
					t.Errorf("got %+v, want %s %s with %q", f, want, code, c.text)
				}
				if !strings.Contains(strings.Join(b.monitor.lines, "\n"), f.String()) {
					t.Errorf("the log lacks %q", f)
				}
				_, restored := b.memory.Target("copy")
				switch refused := shield.Refusal(r.Findings.Preflight); {
				case refused != nil && (err == nil || err.Error() != refused.Error() || !errors.Is(err, c.code)):
					t.Errorf("got %v, want %v", err, refused)
				case (refused != nil || op == shield.OpPreflight) && (restored || o.used):
					t.Error("the target was touched")
				case refused == nil && err != nil && c.real == "":
					t.Errorf("failed: %v", err)
				case refused == nil && op == shield.OpRestore && c.real == "" && !restored:
					t.Error("nothing was restored")
				}
			})
		}
	}
}

// findingOf returns what the check of a name came to.
func findingOf(t *testing.T, r shield.TaskResult, check string) shield.Finding {
	t.Helper()
	if r.Findings == nil {
		t.Fatal("there are no findings")
	}
	for _, f := range r.Findings.Preflight {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("there is no finding of %s: %+v", check, r.Findings.Preflight)
	return shield.Finding{}
}

// TestPreflightSaysAll: one thing that is wrong does not hide another.
func TestPreflightSaysAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	x := restoreTask(b.backup(t))
	x.Op, x.TargetPlugin = shield.OpPreflight, "nope"
	b.memory.RemoveBlob("vault", x.Key)
	r, err := b.runner.Run(t.Context(), x, &b.monitor)
	if !errors.Is(err, shield.Invalid) {
		t.Errorf("got %v", err)
	}
	for _, check := range []string{shield.CheckPlugin, shield.CheckStore} {
		if f := findingOf(t, r, check); f.State != shield.FindingFailed {
			t.Errorf("got %+v", f)
		}
	}
}

// TestPreflightIsCanceled: what was canceled says so, and not what it found.
func TestPreflightIsCanceled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	x := restoreTask(b.backup(t))
	x.Op = shield.OpPreflight
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(shield.Errorf(shield.Canceled, "", "canceled by ann"))
	if _, err := b.runner.Run(ctx, x, &b.monitor); !errors.Is(err, shield.Canceled) {
		t.Errorf("got %v", err)
	}
}
