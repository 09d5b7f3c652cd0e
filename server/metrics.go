package server

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/shieldhq/shield"
)

func (s *Server) mountHealth() {
	handle(s, operation{method: "GET", path: "/healthz", id: "health", tag: "Daemon", summary: "Whether the daemon answers"},
		func(context.Context, *call) (Health, error) { return Health{"ok"}, nil })
	handle(s, operation{
		method: "GET", path: "/readyz", id: "ready", tag: "Daemon", summary: "Whether the daemon can work: its catalog answers",
		fails: []shield.Code{shield.Unavailable},
	}, s.ready)
	raw(s, operation{method: "GET", path: "/metrics", id: "metrics", tag: "Daemon", summary: "Figures for Prometheus", role: shield.RoleViewer},
		"text/plain", s.metrics)
}

func (s *Server) ready(ctx context.Context, _ *call) (Health, error) {
	select {
	case <-s.closing:
		return Health{}, shield.Errorf(shield.Unavailable, "", "the daemon is stopping")
	default:
	}
	if _, err := s.catalog.Events(ctx, shield.Filter{Limit: 1}); err != nil {
		if ctx.Err() == nil { // else it is the client that is not there
			s.opts.Log.Error("not ready", "err", err)
		}
		return Health{}, shield.Errorf(shield.Unavailable, "", "the catalog does not answer: the daemon's log has the cause")
	}
	return Health{"ok"}, nil
}

// metrics answers with figures of now. Labels are names of jobs, of which there
// are few, never archives or tasks.
func (s *Server) metrics(ctx context.Context, c *call) error {
	f, err := s.catalog.Figures(ctx)
	if err != nil {
		return err
	}
	jobs, err := s.catalog.Jobs(ctx, shield.Filter{})
	if err != nil {
		return err
	}
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		figures{f, jobs, s.opts.Release, s.started})
	promhttp.HandlerFor(r, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(c.w, &http.Request{Header: http.Header{}})
	return nil
}

// What is measured.
var (
	descInfo       = prometheus.NewDesc("shield_info", "The version of the daemon.", []string{"release"}, nil)
	descStarted    = prometheus.NewDesc("shield_start_time_seconds", "When the daemon began.", nil, nil)
	descTasks      = prometheus.NewDesc("shield_tasks", "Tasks that the catalog has.", []string{"op", "status"}, nil)
	descDuration   = prometheus.NewDesc("shield_task_duration_seconds", "How long the last attempts of tasks took.", []string{"op", "status"}, nil)
	descArchives   = prometheus.NewDesc("shield_archives", "Archives that the catalog has.", []string{"status"}, nil)
	descRaw        = prometheus.NewDesc("shield_archive_raw_bytes", "Bytes that targets gave.", []string{"status"}, nil)
	descStored     = prometheus.NewDesc("shield_archive_stored_bytes", "Bytes that stores have.", []string{"status"}, nil)
	descJobPaused  = prometheus.NewDesc("shield_job_paused", "Whether a job starts no runs.", []string{"job"}, nil)
	descJobMissed  = prometheus.NewDesc("shield_job_breached", "Whether a job misses its objective.", []string{"job"}, nil)
	descJobSuccess = prometheus.NewDesc("shield_job_last_success_timestamp_seconds", "When the newest good backup of a job was taken.", []string{"job"}, nil)
	descJobDue     = prometheus.NewDesc("shield_job_next_due_timestamp_seconds", "When the next run of a job is expected.", []string{"job"}, nil)
	descJobRPO     = prometheus.NewDesc("shield_job_objective_seconds", "How old the newest good backup of a job may be.", []string{"job"}, nil)
)

// figures are what one answer has.
type figures struct {
	*shield.Figures
	jobs    []*shield.Job
	release string
	started time.Time
}

// Describe says nothing: the figures are those that there are.
func (figures) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (f figures) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descInfo, 1, f.release)
	gauge(descStarted, seconds(f.started))
	for _, t := range f.Tasks {
		gauge(descTasks, float64(t.Count), string(t.Op), string(t.Status))
		if t.Status.Final() {
			to <- prometheus.MustNewConstSummary(descDuration, uint64(t.Count), t.Seconds, nil, string(t.Op), string(t.Status))
		}
	}
	for _, a := range f.Archives {
		gauge(descArchives, float64(a.Count), string(a.Status))
		gauge(descRaw, float64(a.RawBytes), string(a.Status))
		gauge(descStored, float64(a.StoredBytes), string(a.Status))
	}
	for _, j := range f.jobs {
		gauge(descJobPaused, truth(j.Paused), j.Name)
		gauge(descJobMissed, truth(j.Breached), j.Name)
		gauge(descJobRPO, float64(j.RPO), j.Name)
		if !j.LastSuccess.IsZero() { // one that never succeeded has none
			gauge(descJobSuccess, seconds(j.LastSuccess), j.Name)
		}
		if !j.NextDue.IsZero() {
			gauge(descJobDue, seconds(j.NextDue), j.Name)
		}
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
