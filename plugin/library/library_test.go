package library_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/library"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// sandbox takes the JSON of an info for a module. Its plugins are those of
// plugintest.Memory, and it remembers the grants.
type sandbox struct {
	memory *plugintest.Memory
	opened []plugin.Grant
}

func (s *sandbox) Open(_ context.Context, module []byte, g plugin.Grant) (plugin.Opener, error) {
	info, err := plugin.ParseInfo(module)
	if err != nil {
		return nil, err
	}
	s.opened = append(s.opened, g)
	return &opener{s.memory, info}, nil
}

type opener struct {
	*plugintest.Memory
	info plugin.Info
}

func (o *opener) Info(context.Context) (plugin.Info, error) { return o.info, nil }

// module returns a module of a version that asks for capabilities.
func module(t testing.TB, version, capabilities string) []byte {
	t.Helper()
	b, err := json.Marshal(plugin.Info{
		Name: "db", Version: version, Features: plugin.Features{Target: "yes", Store: "yes"},
		Fields:       []plugin.Field{{Mode: plugin.RoleBoth, Name: "name", Type: plugin.TypeString, Required: true}},
		Capabilities: json.RawMessage(capabilities),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type fixture struct {
	*library.Library
	t        testing.TB
	dir      string
	catalog  *catalog.DB
	sandbox  *sandbox
	registry *plugin.Registry
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), sandbox: &sandbox{memory: plugintest.NewMemory()}}
	var err error
	if f.catalog, err = catalog.Open(t.Context(), catalog.Memory, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	f.reopen()
	return f
}

// reopen is a restart.
func (f *fixture) reopen() {
	f.t.Helper()
	f.registry = plugin.NewRegistry()
	err := f.registry.Register("native", &plugin.Native{})
	if err != nil {
		f.t.Fatal(err)
	}
	if f.Library, err = library.Open(f.t.Context(), filepath.Join(f.dir, "plugins"), f.catalog, f.sandbox, f.registry); err != nil {
		f.t.Fatal(err)
	}
}

// install installs a module with all that it asks for.
func (f *fixture) install(m []byte) *shield.Module {
	f.t.Helper()
	p, err := f.Inspect(f.t.Context(), "", m)
	if err != nil {
		f.t.Fatal(err)
	}
	got, err := f.Install(f.t.Context(), "", m, p.Digest)
	if err != nil {
		f.t.Fatal(err)
	}
	return got
}

const asks = `{"tcp":["{host}:5432"],"exec":["pg_dump"]}`

func TestConsent(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	_, err := f.Install(ctx, "", module(t, "1", asks), "")
	if !errors.Is(err, shield.Forbidden) || !strings.Contains(err.Error(), "may run pg_dump") {
		t.Fatalf("installing without consent: %v, want Forbidden that says what is asked", err)
	}
	if names := f.registry.Names(); len(names) != 1 {
		t.Fatalf("%q can be used all the same", names)
	}
	one := f.install(module(t, "1", asks))

	// The same again, and less, need no consent.
	two, err := f.Install(ctx, "", module(t, "2", `{"exec":["pg_dump"]}`), "")
	if err != nil {
		t.Fatalf("an upgrade that asks for less: %v", err)
	}
	// More does, and the old one stays meanwhile.
	three := module(t, "3", `{"tcp":["{host}:5432"],"exec":["pg_dump","sh"]}`)
	_, err = f.Install(ctx, "", three, two.Digest)
	if !errors.Is(err, shield.Forbidden) || !strings.Contains(err.Error(), "may run sh") || strings.Contains(err.Error(), "pg_dump") {
		t.Fatalf("an upgrade that asks for more: %v, want Forbidden that says what is new", err)
	}
	if info, err := f.registry.Info(ctx, "db"); err != nil || info.Version != "2" {
		t.Errorf("version %q is current, %v", info.Version, err)
	}
	f.install(three)
	all, err := f.Modules(ctx)
	if err != nil || len(all) != 3 || all[0].Version != "3" || one.Digest == all[0].Digest {
		t.Errorf("got %d modules, %v", len(all), err)
	}
}

func TestOldVersionsStayWhileNeeded(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	one := f.install(module(t, "1", asks))
	f.addArchive(one)
	f.install(module(t, "2", asks))
	f.reopen()
	if err := f.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	_, info, err := f.registry.OpenTargetVersion(ctx, "db", one.Digest, shield.Endpoint(`{"name":"x"}`), nil)
	if err != nil || info.Version != "1" {
		t.Errorf("the archive would be restored by version %q, %v, want 1", info.Version, err)
	}
	if _, info, err = f.registry.OpenTarget(ctx, "db", shield.Endpoint(`{"name":"x"}`), nil); err != nil || info.Version != "2" {
		t.Errorf("new backups are made by version %q, %v, want 2", info.Version, err)
	}
	if err := f.Remove(ctx, "db"); !errors.Is(err, shield.InUse) {
		t.Errorf("removing what an archive needs: %v, want InUse", err)
	}
}

// addArchive lets there be an archive that a module made.
func (f *fixture) addArchive(m *shield.Module) {
	f.t.Helper()
	target, store := f.nouns()
	now := time.Now()
	claimed := f.claim(target, store)
	a := &shield.Archive{UUID: claimed.Archive, Key: "k", Status: shield.ArchiveValid, Plugin: "db", PluginDigest: m.Digest, TakenAt: now, ExpiresAt: now.Add(1e12)}
	f.finish(claimed, shield.Outcome{Status: shield.TaskDone, StoppedAt: now, Archive: a})
}

// claim begins a backup of the plugin.
func (f *fixture) claim(target *shield.Target, store *shield.Store) *shield.Task {
	f.t.Helper()
	ctx := f.t.Context()
	task := &shield.Task{
		Op: shield.OpBackup, Archive: "6f6f6f6f-6f6f-4f6f-8f6f-6f6f6f6f6f6f", Key: "k", Retention: 10, Target: target.UUID, Store: store.UUID,
		TargetPlugin: "db", TargetEndpoint: target.Endpoint, StorePlugin: "other", StoreEndpoint: store.Endpoint,
	}
	if err := f.catalog.CreateTask(ctx, task); err != nil {
		f.t.Fatal(err)
	}
	now := task.RequestedAt
	claimed, err := f.catalog.ClaimTask(ctx, shield.Lease{Owner: "o", Expires: now.Add(1e12), Timeout: 1e12}, now)
	if err != nil {
		f.t.Fatal(err)
	}
	return claimed
}

func (f *fixture) finish(claimed *shield.Task, o shield.Outcome) {
	f.t.Helper()
	lease := shield.Lease{Owner: "o", Epoch: claimed.LeaseEpoch}
	if err := f.catalog.FinishTask(f.t.Context(), claimed.UUID, lease, o); err != nil {
		f.t.Fatal(err)
	}
}

// nouns makes a target of the plugin and a store.
func (f *fixture) nouns() (*shield.Target, *shield.Store) {
	f.t.Helper()
	ctx, meta, endpoint := f.t.Context(), shield.Meta{Name: "x"}, shield.Endpoint(`{"name":"x"}`)
	target := &shield.Target{Meta: meta, Plugin: "db", Endpoint: endpoint}
	store := &shield.Store{Meta: meta, Plugin: "other", Endpoint: endpoint}
	for _, err := range []error{f.catalog.CreateTarget(ctx, target), f.catalog.CreateStore(ctx, store)} {
		if err != nil {
			f.t.Fatal(err)
		}
	}
	return target, store
}

func TestSweepAndRemove(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.install(module(t, "1", asks))
	two := f.install(module(t, "2", asks))
	if err := f.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(f.dir, "plugins"))
	if err != nil || len(files) != 1 || !strings.Contains(two.Digest, strings.TrimSuffix(files[0].Name(), ".wasm")) {
		t.Errorf("after a sweep there are %v, %v", files, err)
	}
	if err := f.Remove(ctx, "db"); err != nil {
		t.Fatal(err)
	}
	if names := f.registry.Names(); len(names) != 1 {
		t.Errorf("%q can still be used", names)
	}
	if err := f.Remove(ctx, "db"); !errors.Is(err, shield.NotFound) {
		t.Errorf("removing it twice: %v, want NotFound", err)
	}
}

// A backup that began with a version that was replaced meanwhile ends with an
// archive that needs it.
func TestSweepSparesRunningTasks(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	one := f.install(module(t, "1", asks))
	task := f.claim(f.nouns())
	f.install(module(t, "2", asks))
	kept := func() bool {
		t.Helper()
		if err := f.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		_, info, err := f.registry.OpenTargetVersion(ctx, "db", one.Digest, shield.Endpoint(`{"name":"x"}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		return info.Digest == one.Digest
	}
	if !kept() {
		t.Error("a version was removed while a task ran that may use it")
	}
	now := time.Now()
	f.finish(task, shield.Outcome{Status: shield.TaskFailed, StoppedAt: now, Error: "x"})
	if kept() {
		t.Error("a version that nothing needs was kept")
	}
}

func TestSweepFiles(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	one := module(t, "1", asks)
	f.install(one)
	p, err := f.Inspect(ctx, "second", one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Install(ctx, "second", one, p.Digest); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".new-123", strings.Repeat("0", 64) + ".wasm", "README"} {
		if err := os.WriteFile(filepath.Join(f.dir, "plugins", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Remove(ctx, "db"); err != nil {
		t.Fatal(err)
	}
	if err := f.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	if _, _, err := f.registry.OpenStore(ctx, "second", shield.Endpoint(`{"name":"x"}`), nil); err != nil {
		t.Errorf("a module that has another name as well: %v", err)
	}
	files, err := os.ReadDir(filepath.Join(f.dir, "plugins"))
	if err != nil || len(files) != 2 {
		t.Errorf("after a sweep there are %v, %v, want the module and what is not ours", files, err)
	}
}

// Sweeping and installing at once leaves what is installed usable.
func TestSweepWhileInstalling(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := f.Sweep(ctx); err != nil {
				done <- err
				return
			}
		}
	}()
	for n := range 20 {
		f.install(module(t, strconv.Itoa(n), asks))
		if _, info, err := f.registry.OpenStore(ctx, "db", shield.Endpoint(`{"name":"x"}`), nil); err != nil || info.Version != strconv.Itoa(n) {
			t.Fatalf("after installing version %d: version %q, %v", n, info.Version, err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestGrantAndRevoke(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.install(module(t, "1", asks))
	open := func() plugin.Grant {
		t.Helper()
		if _, _, err := f.registry.OpenStore(ctx, "db", shield.Endpoint(`{"name":"x"}`), nil); err != nil {
			t.Fatal(err)
		}
		return f.sandbox.opened[len(f.sandbox.opened)-1]
	}
	if g := open(); len(g.Exec) != 1 || len(g.TCP) != 1 {
		t.Errorf("granted %+v, want all that was agreed to", g)
	}
	if err := f.Grant(ctx, "db", plugin.Grant{}); err != nil {
		t.Fatal(err)
	}
	if g := open(); len(g.Exec)+len(g.TCP) != 0 {
		t.Errorf("after revoking: granted %+v", g)
	}
	if err := f.Grant(ctx, "db", plugin.Grant{TCP: []string{"nonsense"}}); !errors.Is(err, shield.Invalid) {
		t.Errorf("granting nonsense: %v, want Invalid", err)
	}
	if err := f.Grant(ctx, "nobody", plugin.Grant{}); !errors.Is(err, shield.NotFound) {
		t.Errorf("granting to nobody: %v, want NotFound", err)
	}
}

func TestChangedModule(t *testing.T) {
	f := newFixture(t)
	m := f.install(module(t, "1", asks))
	path := filepath.Join(f.dir, "plugins", strings.TrimPrefix(m.Digest, "sha256:")+".wasm")
	if err := os.WriteFile(path, module(t, "666", asks), 0o600); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	_, _, err := f.registry.OpenStore(t.Context(), "db", shield.Endpoint(`{"name":"x"}`), nil)
	if !errors.Is(err, shield.Corrupt) {
		t.Errorf("using a module that somebody changed: %v, want Corrupt", err)
	}
	f.install(module(t, "1", asks))
	if _, _, err := f.registry.OpenStore(t.Context(), "db", shield.Endpoint(`{"name":"x"}`), nil); err != nil {
		t.Errorf("after installing it again: %v", err)
	}
}

func TestBundle(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	bundle := func(m []byte) {
		t.Helper()
		p, err := f.Inspect(ctx, "", m)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Bundle(ctx, "db", p.Digest, func() ([]byte, error) { return m, nil }); err != nil {
			t.Fatal(err)
		}
	}
	version := func() string {
		t.Helper()
		info, err := f.registry.Info(ctx, "db")
		if err != nil {
			t.Fatal(err)
		}
		return info.Version
	}
	bundle(module(t, "1", asks))
	bundle(module(t, "2", asks))
	if v := version(); v != "2" {
		t.Errorf("version %s is current, want that of the newer program", v)
	}
	f.install(module(t, "custom", asks))
	bundle(module(t, "3", asks))
	if v := version(); v != "custom" {
		t.Errorf("version %s is current, want the operator's own", v)
	}
}

func TestInspectRefuses(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name   string
		module []byte
		want   shield.Code
	}{
		{"", []byte("\x00asm nonsense"), shield.PluginFailed},
		{"", make([]byte, library.ModuleLimit+1), shield.Invalid},
		{"native", module(t, "1", `{}`), shield.Conflict},
		{" x", module(t, "1", `{}`), shield.Invalid},
		{"", module(t, "1", `{"tcp":["nowhere"]}`), shield.PluginFailed},
	} {
		if _, err := f.Inspect(t.Context(), c.name, c.module); !errors.Is(err, c.want) {
			t.Errorf("%q, %.20q: %v, want %s", c.name, c.module, err, c.want)
		}
	}
}

func TestBundleSoon(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	m := module(t, "1", asks)
	p, err := f.Inspect(ctx, "", m)
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	load := func() ([]byte, error) { <-release; return m, nil }
	if err := f.BundleSoon(ctx, "db", p.Digest, load); err != nil {
		t.Fatal(err)
	}
	if names := f.registry.Names(); len(names) != 2 {
		t.Errorf("while it is compiled there are %q", names)
	}
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	if _, info, err := f.registry.OpenStore(ctx, "db", shield.Endpoint(`{"name":"x"}`), nil); err != nil || info.Version != "1" {
		t.Errorf("who comes early gets version %q, %v", info.Version, err)
	}
	f.Wait()
	f.reopen()
	if err := f.BundleSoon(ctx, "db", p.Digest, func() ([]byte, error) { panic("it is installed already") }); err != nil {
		t.Fatal(err)
	}
	f.Wait()
	failing := func() ([]byte, error) { return nil, errors.New("no such module") }
	if err := f.BundleSoon(ctx, "other", p.Digest, failing); err != nil {
		t.Fatal(err)
	}
	if _, err := f.registry.Info(ctx, "other"); err == nil || !strings.Contains(err.Error(), "no such module") {
		t.Errorf("a plugin that cannot be bundled: %v", err)
	}
}
