package server_test

import (
	"strings"
	"testing"

	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	_, err := f.client.Jobs().Edit(t.Context(), "b", map[string]any{"name": `odd "name"`})
	f.must(err)
	a := f.backup("a")
	f.faulty.Set(plugintest.TargetFailsAtEnd, 0)
	f.wait(f.client.RunJob(t.Context(), "a"))
	_, err = f.client.Jobs().Edit(t.Context(), "a", map[string]any{"paused": true})
	f.must(err)
	got := f.do("GET", "/metrics", "")
	if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %v", got.status, got.header)
	}
	for _, want := range []string{
		`shield_info{release="v0"} 1`, `shield_tasks{op="backup",status="done"} 1`, `shield_tasks{op="backup",status="failed"} 1`,
		`shield_task_duration_seconds_count{op="backup",status="done"} 1`, `shield_archives{status="valid"} 1`, `shield_archive_raw_bytes{status="valid"} 12000`,
		`shield_job_paused{job="a"} 1`, `shield_job_breached{job="a"} 0`, `shield_job_last_success_timestamp_seconds{job="a"} `,
		`shield_job_paused{job="odd \"name\"`, "go_goroutines ",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the figures lack %s", want)
		}
	}
	if strings.Contains(got.body, a.UUID) || strings.Contains(got.body, `last_success_timestamp_seconds{job="odd`) {
		t.Errorf("the figures have too much:\n%s", got.body)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if a := f.send(httpGet(f.url + "/readyz")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.handler.(*server.Server).Close()
	if p := f.refused(f.send(httpGet(f.url + "/readyz"))); p.Status != 503 {
		t.Errorf("while it stops: %+v", p)
	}
	g := newFixture(t)
	g.must(g.catalog.Close())
	if p := g.refused(g.send(httpGet(g.url + "/readyz"))); p.Status != 503 || strings.Contains(p.Detail, "sql") {
		t.Errorf("without a catalog: %+v", p)
	}
	if a := g.send(httpGet(g.url + "/healthz")); a.status != 200 {
		t.Errorf("%d", a.status)
	}
}
