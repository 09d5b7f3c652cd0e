package daemon_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

// A rotation is a daemon whose keys are rotated.
type rotation struct {
	t      *testing.T
	data   string
	memory *plugintest.Memory
	log    *logText
	// catalog is that of the daemon that runs.
	catalog shield.Catalog
}

// start runs the daemon until the function that it returns is called.
func (r *rotation) start() (*system, func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	d, err := daemon.Open(ctx, daemon.Config{
		Data: r.data, Listen: "127.0.0.1:0", Plugins: map[string]plugin.Opener{"memory": r.memory},
		Sandbox: daemon.SandboxNever, Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.catalog = d.Catalog()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, time.Second) }()
	api, err := server.NewClient(d.URL(), d.Token())
	if err != nil {
		r.t.Fatal(err)
	}
	return &system{t: r.t, api: api}, func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
}

// keys returns the ids of the keyring's keys, and which of them is current.
func (r *rotation) keys() (ids []string, current string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.data, "keyring.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	var f struct {
		Current string
		Keys    map[string][]byte
	}
	if err := json.Unmarshal(text, &f); err != nil {
		r.t.Fatal(err)
	}
	for id := range f.Keys {
		ids = append(ids, id)
	}
	return ids, f.Current
}

func (r *rotation) rotate(wantRunning bool) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	id, running, err := daemon.RotateKeys(ctx, r.data)
	if err != nil || running != wantRunning {
		r.t.Fatalf("rotated: daemon %v, %v", running, err)
	}
	return id
}

func (r *rotation) setUp(s *system) {
	ctx, meta := r.t.Context(), shield.Meta{Name: "db"}
	endpoint := shield.Endpoint(`{"name":"db","password":"hunter2-secret"}`)
	_, err := s.api.Targets().Create(ctx, &shield.Target{Meta: meta, Plugin: "memory", Endpoint: endpoint})
	s.check(err)
	_, err = s.api.Stores().Create(ctx, &shield.Store{Meta: meta, Plugin: "memory", Endpoint: endpoint})
	s.check(err)
	_, err = s.api.Schedules().Create(ctx, &shield.Schedule{Meta: meta, Timespec: "daily 4am"})
	s.check(err)
	_, err = s.api.Policies().Create(ctx, &shield.Policy{Meta: meta, Expiry: 86400})
	s.check(err)
	_, err = s.api.Jobs().Create(ctx, &shield.Job{Meta: meta, Target: "db", Store: "db", Schedule: "db", Policy: "db"})
	s.check(err)
}

// backUp checks that the secrets can be opened.
func (r *rotation) backUp(s *system, when string) {
	r.t.Helper()
	if task := s.run("db"); task.Status != shield.TaskDone {
		r.t.Errorf("%s the backup is %s: %s", when, task.Status, task.Error)
	}
}

func TestRotateKeys(t *testing.T) {
	t.Parallel()
	r := &rotation{t: t, data: filepath.Join(t.TempDir(), "data"), memory: plugintest.NewMemory(), log: &logText{}}
	r.memory.GenerateTarget("db", 1<<10, 1)
	s, stop := r.start()
	r.setUp(s)
	r.backUp(s, "before")
	_, first := r.keys()

	second := r.rotate(true)
	if ids, current := r.keys(); len(ids) != 2 || current != second || second == first {
		t.Errorf("after a rotation the keys are %v, the current one is %s", ids, current)
	}
	r.backUp(s, "with two keys")
	if e := r.endpoints(); strings.Contains(e, `"`+first+":") || strings.Count(e, `"`+second+":") != 2+2*2 {
		t.Errorf("not all is sealed with the new key %s: %s", second, e)
	}
	r.damage(s, second)
	stop()

	// With nobody at work the old key is not needed any more.
	s, stop = r.start()
	if ids, current := r.keys(); len(ids) != 1 || current != second {
		t.Errorf("after a restart the keys are %v, the current one is %s", ids, current)
	}
	r.backUp(s, "with the new key alone")
	stop()

	third := r.rotate(false)
	s, stop = r.start()
	defer stop()
	if ids, current := r.keys(); len(ids) != 1 || current != third {
		t.Errorf("after a rotation without a daemon the keys are %v, the current one is %s", ids, current)
	}
	r.backUp(s, "after a rotation without a daemon")
	if strings.Contains(r.log.String(), "hunter2") || strings.Contains(r.stored(), "hunter2") {
		t.Error("a secret is in the log or the catalog")
	}
}

// damage replaces the keyring by one without the keys that are in use.
func (r *rotation) damage(s *system, key string) {
	r.t.Helper()
	path := filepath.Join(r.data, "keyring.json")
	good, err := os.ReadFile(path)
	s.check(err)
	s.check(os.WriteFile(path+".new", []byte(`{"current":"other","keys":{"other":"`+strings.Repeat("A", 43)+`="}}`), 0o600))
	s.check(os.Rename(path+".new", path))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(r.log.String(), "lacks the key") {
			break
		}
	}
	if !strings.Contains(r.log.String(), "the new keyring is not used: the old one stays in use") || !strings.Contains(r.log.String(), "lacks the key") {
		r.t.Errorf("a keyring without the key %s is not refused: %s", key, r.log)
	}
	r.backUp(s, "with a damaged keyring")
	s.check(os.WriteFile(path+".new", good, 0o600))
	s.check(os.Rename(path+".new", path))
}

// endpoints are all that the catalog has.
func (r *rotation) endpoints() string {
	r.t.Helper()
	ctx, db := r.t.Context(), "db"
	target, err := r.catalog.Target(ctx, db)
	if err != nil {
		r.t.Fatal(err)
	}
	store, err := r.catalog.Store(ctx, db)
	if err != nil {
		r.t.Fatal(err)
	}
	all := string(target.Endpoint) + string(store.Endpoint)
	tasks, err := r.catalog.Tasks(ctx, shield.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, t := range tasks {
		all += string(t.TargetEndpoint) + string(t.StoreEndpoint)
	}
	return all
}

// stored returns the bytes of the catalog's files.
func (r *rotation) stored() string {
	r.t.Helper()
	var all strings.Builder
	files, err := filepath.Glob(filepath.Join(r.data, "catalog.db*"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			r.t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
