package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/internal/keyring"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/scheduler"
	"github.com/shieldhq/shield/scheduler/timespec"
	"github.com/shieldhq/shield/server"
	"github.com/shieldhq/shield/task"
)

const token = "shield_test-token-of-tests"

// A fixture is a whole daemon over plugins in memory.
type fixture struct {
	t         testing.TB
	url       string
	handler   http.Handler
	client    *server.Client
	data      string // folder of the catalog
	catalog   *catalog.DB
	scheduler *scheduler.Scheduler
	memory    *plugintest.Memory
	faulty    *plugintest.Faulty
	plugins   *plugin.Registry
	log       *logBuffer
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, data: t.TempDir(), memory: plugintest.NewMemory(), plugins: plugin.NewRegistry(), log: &logBuffer{}}
	f.faulty = plugintest.NewFaulty(f.memory)
	f.register("memory", f.faulty)
	f.open()
	return f
}

func (f *fixture) register(name string, o plugin.Opener) {
	f.t.Helper()
	f.must(f.plugins.Register(name, o))
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) open() {
	f.t.Helper()
	var err error
	f.catalog, err = catalog.Open(context.Background(), filepath.Join(f.data, "catalog.db"), nil)
	f.must(err)
	f.t.Cleanup(func() { _ = f.catalog.Close() })
	data, err := keyring.Generate()
	f.must(err)
	ring, err := keyring.Parse(data)
	f.must(err)
	runner := f.runner()
	f.scheduler = scheduler.New(f.catalog, runner, &scheduler.Options{Owner: "test", Exclusive: true, Content: runner, Reveal: func(task *shield.Task) (err error) {
		if task.Target != "" {
			if task.TargetEndpoint, err = ring.Reveal(task.Target, task.TargetEndpoint); err != nil {
				return err
			}
		}
		task.StoreEndpoint, err = ring.Reveal(task.Store, task.StoreEndpoint)
		return err
	}})
	f.must(f.scheduler.Start(context.Background()))
	f.t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = f.scheduler.Stop(now)
	})
	f.serve(server.New(f.catalog, f.scheduler, f.plugins, ring, server.Options{
		Token: token, Release: "v0", CheckSchedule: checkSchedule, Changed: f.scheduler.Changed,
		Log: slog.New(slog.NewTextHandler(f.log, nil)),
	}))
}

func checkSchedule(s *shield.Schedule) error {
	_, err := timespec.Parse(s.Timespec)
	return err
}

func (f *fixture) runner() *task.Runner {
	id, err := age.GenerateX25519Identity()
	f.must(err)
	_, key, err := ed25519.GenerateKey(nil)
	f.must(err)
	return task.NewRunner(f.plugins, &task.Options{
		Recipients: []age.Recipient{id.Recipient()}, RecipientNames: []string{id.Recipient().String()},
		Identities: []age.Identity{id}, SigningKey: key, Grace: 2 * time.Second,
	})
}

func (f *fixture) serve(h http.Handler) {
	f.t.Helper()
	s := httptest.NewServer(h)
	f.t.Cleanup(s.Close)
	f.url, f.handler = s.URL, h
	var err error
	f.client, err = server.NewClient(s.URL, token)
	f.must(err)
}

// A logBuffer collects what the server logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem is an answer that is a problem document.
type problem struct {
	Title, Detail, Code, Field string
	Status                     int
}

// do sends a request with the token.
func (f *fixture) do(method, path, body string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	f.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	return f.send(req)
}

func (f *fixture) send(req *http.Request) answer {
	f.t.Helper()
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	f.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	f.must(err)
	a := answer{resp.StatusCode, resp.Header, string(b)}
	f.documented(req, a)
	return a
}

// refused checks that an answer is a problem document and returns it.
func (f *fixture) refused(a answer) problem {
	f.t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		f.t.Fatalf("the answer %d %.300q is no problem document: %v", a.status, a.body, err)
	}
	if a.header.Get("Content-Type") != "application/problem+json" {
		f.t.Errorf("content type %q", a.header.Get("Content-Type"))
	}
	if p.Status != a.status || p.Title == "" || p.Code == "" || p.Detail == "" {
		f.t.Errorf("status %d, document %+v", a.status, p)
	}
	return p
}

// want checks an error that the client returned.
func want(t testing.TB, err error, code shield.Code, field, text string) {
	t.Helper()
	e, ok := err.(*shield.Error)
	if !ok || e.Code != code || e.Field != field || !strings.Contains(e.Message, text) {
		t.Errorf("err = %#v\nwant code %q, field %q and %q", err, code, field, text)
	}
}

// setUp makes a target, store, schedule, policy and job, all called name.
func (f *fixture) setUp(name string) {
	f.t.Helper()
	f.memory.SetTarget(name, []byte(strings.Repeat("content of "+name, 1000)))
	m, ctx := shield.Meta{Name: name}, f.t.Context()
	ep := shield.Endpoint(`{"name":"` + name + `"}`)
	_, err := f.client.Targets().Create(ctx, &shield.Target{Meta: m, Plugin: "memory", Endpoint: ep})
	f.must(err)
	_, err = f.client.Stores().Create(ctx, &shield.Store{Meta: m, Plugin: "memory", Endpoint: ep})
	f.must(err)
	_, err = f.client.Schedules().Create(ctx, &shield.Schedule{Meta: m, Timespec: "daily 4:00"})
	f.must(err)
	_, err = f.client.Policies().Create(ctx, &shield.Policy{Meta: m, Expiry: 86400})
	f.must(err)
	_, err = f.client.Jobs().Create(ctx, &shield.Job{Meta: m, Target: name, Store: name, Schedule: name, Policy: name, Priority: 50})
	f.must(err)
}

// backup runs a job to its end and returns the archive.
func (f *fixture) backup(job string) *shield.Archive {
	f.t.Helper()
	end := f.wait(f.client.RunJob(f.t.Context(), job))
	if end.Status != shield.TaskDone {
		f.t.Fatalf("backup %s: %s", end.Status, end.Error)
	}
	a, err := f.client.Archives().Get(f.t.Context(), end.Archive)
	f.must(err)
	return a
}

func (f *fixture) wait(t *shield.Task, err error) *shield.Task {
	f.t.Helper()
	f.must(err)
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	end, err := f.client.Wait(ctx, t.UUID, func(*server.FollowAnswer) {})
	f.must(err)
	return end
}

// stored returns the bytes of all files of the catalog.
func (f *fixture) stored() string {
	f.t.Helper()
	var all strings.Builder
	files, err := filepath.Glob(filepath.Join(f.data, "*"))
	f.must(err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		f.must(err)
		all.Write(b)
	}
	return all.String()
}
