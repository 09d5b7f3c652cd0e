package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	periods "github.com/shieldhq/shield/internal/period"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/server"
)

type listCmd struct {
	Targets   listTargets   `cmd:"" aliases:"target" help:"List targets."`
	Stores    listStores    `cmd:"" aliases:"store" help:"List stores."`
	Schedules listSchedules `cmd:"" aliases:"schedule" help:"List schedules."`
	Retention struct {
		Policies listPolicies `cmd:"" aliases:"policy" help:"List retention policies."`
	} `cmd:"" help:"List retention policies."`
	Policies listPolicies `cmd:"" hidden:"" aliases:"policy" help:"List retention policies."`
	Jobs     listJobs     `cmd:"" aliases:"job" help:"List jobs."`
	Archives listArchives `cmd:"" aliases:"archive" help:"List archives."`
	Tasks    listTasks    `cmd:"" aliases:"task" help:"List tasks that have not ended."`
	Runs     listRuns     `cmd:"" aliases:"run" help:"List expected runs of jobs."`
	Plugins  listPlugins  `cmd:"" aliases:"plugin" help:"List plugins."`
	Users    listUsers    `cmd:"" aliases:"user" help:"List users."`
	Tokens   listTokens   `cmd:"" aliases:"token" help:"List tokens: one's own, or all for an admin."`
	Agents   listAgents   `cmd:"" aliases:"agent" help:"List agents."`
	Events   listEvents   `cmd:"" aliases:"event" help:"List what happened, the newest first: what plugins tried beyond their grants, too."`
}

// usage filters things by whether a job refers to them.
type usage struct {
	Used   bool `help:"Only those that a job refers to." xor:"used"`
	Unused bool `help:"Only those that no job refers to." xor:"used"`
}

func (u *usage) query() url.Values {
	q := url.Values{}
	if u.Used || u.Unused {
		q.Set("used", strconv.FormatBool(u.Used))
	}
	return q
}

// with adds a parameter that was given.
func with(q url.Values, name, value string) url.Values {
	if value != "" {
		q.Set(name, value)
	}
	return q
}

// list prints those that the query wants, or that there are none of what.
func list[T any](e *env, n server.NounClient[T], q url.Values, v view[T], what string) error {
	all, err := n.List(e.ctx, q)
	if err != nil {
		return err
	}
	return printList(e, all, v, what)
}

// these names things that users make, and says how if nothing narrows a list
// of them.
func these(plural string, q url.Values, kind string) string {
	if len(q) > 0 {
		return plural + " that match"
	}
	return plural + ": shield create " + kind + " --help tells how to make one"
}

type listTargets struct {
	usage
	Plugin string `help:"Only those of a plugin."`
}

func (c *listTargets) Run(e *env) error {
	q := with(c.query(), "plugin", c.Plugin)
	return list(e, e.client.Targets(), q, targetView, these("targets", q, "target"))
}

type listStores struct {
	usage
	Plugin string `help:"Only those of a plugin."`
}

func (c *listStores) Run(e *env) error {
	q := with(c.query(), "plugin", c.Plugin)
	return list(e, e.client.Stores(), q, storeView, these("stores", q, "store"))
}

type listSchedules struct{ usage }

func (c *listSchedules) Run(e *env) error {
	return list(e, e.client.Schedules(), c.query(), scheduleView, these("schedules", c.query(), "schedule"))
}

type listPolicies struct{ usage }

func (c *listPolicies) Run(e *env) error {
	return list(e, e.client.Policies(), c.query(), policyView, these("retention policies", c.query(), "retention policy"))
}

type listJobs struct {
	Paused          bool   `help:"Only paused ones." xor:"paused"`
	Unpaused        bool   `help:"Only those that are not paused." xor:"paused"`
	Target          string `help:"Only those of a target."`
	Store           string `help:"Only those of a store."`
	Schedule        string `help:"Only those on a schedule."`
	RetentionPolicy string `help:"Only those under a policy." name:"retention-policy" placeholder:"POLICY"`
}

func (c *listJobs) Run(e *env) error {
	q := url.Values{}
	if c.Paused || c.Unpaused {
		q.Set("paused", strconv.FormatBool(c.Paused))
	}
	q = with(with(q, "target", c.Target), "store", c.Store)
	q = with(with(q, "schedule", c.Schedule), "retention_policy", c.RetentionPolicy)
	return list(e, e.client.Jobs(), q, jobView, these("jobs", q, "job"))
}

type listArchives struct {
	Job        string   `help:"Only those of a job."`
	Target     string   `help:"Only those of a target."`
	Store      string   `help:"Only those in a store."`
	After      string   `help:"Only those taken on or after a day." placeholder:"YYYYMMDD"`
	Before     string   `help:"Only those taken before a day." placeholder:"YYYYMMDD"`
	Status     []string `help:"Only those of a status: valid, expired, purging, purged, invalid. Can be repeated." default:"valid" placeholder:"STATUS"`
	All        bool     `help:"Those of every status."`
	Suspicious bool     `help:"Only suspicious ones that nobody has acknowledged."`
	Limit      int      `help:"At most so many, the newest."`
}

func (c *listArchives) Run(e *env) error {
	q := with(with(with(url.Values{}, "target", c.Target), "store", c.Store), "job", c.Job)
	q = with(with(q, "after", c.After), "before", c.Before)
	what := "archives that match"
	if !c.All {
		q["status"] = c.Status
		what = strings.Join(c.Status, " or ") + " archives that match: --all lists those of every status"
	}
	if c.Suspicious {
		q.Set("suspicious", "true")
	}
	if c.Limit > 0 {
		q.Set("limit", strconv.Itoa(c.Limit))
	}
	return list(e, e.client.Archives(), q, archiveView, what)
}

type listTasks struct {
	All    bool     `help:"Ended ones too."`
	Job    string   `help:"Only those of a job."`
	Op     string   `help:"Only those of an operation: backup, restore, preflight, purge, test-store, check-store, reconcile, verify, test-target, probe-target, agent-status." placeholder:"OP"`
	Status []string `help:"Only those of a status: pending, running, done, failed, canceled. Can be repeated." placeholder:"STATUS"`
	Target string   `help:"Only those of a target."`
	Store  string   `help:"Only those of a store."`
	Limit  int      `help:"At most so many, the newest." default:"50"`
}

func (c *listTasks) Run(e *env) error {
	q := with(with(with(url.Values{}, "target", c.Target), "store", c.Store), "job", c.Job)
	q = with(q, "op", c.Op)
	what := "tasks that match"
	switch {
	case len(c.Status) > 0:
		q["status"] = c.Status
	case !c.All:
		q["status"] = []string{string(shield.TaskPending), string(shield.TaskRunning)}
		what += " and have not ended: --all lists the others too"
	}
	q.Set("limit", strconv.Itoa(c.Limit))
	return list(e, e.client.Tasks(), q, taskView, what)
}

type listRuns struct {
	Job    string   `help:"Only those of a job."`
	Status []string `help:"Only those of a status: due, started, succeeded, failed, missed, skipped. Can be repeated." aliases:"state" placeholder:"STATUS"`
	After  string   `help:"Only those due at or after a time, like 20260131 or 2026-01-31T04:00:00Z." placeholder:"TIME"`
	Before string   `help:"Only those due before a time." placeholder:"TIME"`
	Limit  int      `help:"At most so many, the newest." default:"50"`
}

func (c *listRuns) Run(e *env) error {
	q := with(url.Values{"limit": {strconv.Itoa(c.Limit)}, "status": c.Status}, "job", c.Job)
	q = with(with(q, "after", c.After), "before", c.Before)
	runs, err := e.client.Runs().List(e.ctx, q)
	if err != nil {
		return err
	}
	jobs, err := e.client.Jobs().List(e.ctx, nil)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, j := range jobs {
		names[j.UUID] = j.Name
	}
	return printList(e, runs, runView(names), "runs that match")
}

type listEvents struct {
	After  string `help:"Only those on or after a day." placeholder:"YYYYMMDD"`
	Before string `help:"Only those before a day." placeholder:"YYYYMMDD"`
	Limit  int    `help:"At most so many, the newest." default:"50"`
}

func (c *listEvents) Run(e *env) error {
	q := with(with(url.Values{"limit": {strconv.Itoa(c.Limit)}}, "after", c.After), "before", c.Before)
	events, err := e.client.Events(e.ctx, q)
	if err != nil {
		return err
	}
	return printList(e, events, eventView, "events that match")
}

type listPlugins struct{}

func (c *listPlugins) Run(e *env) error {
	all, err := e.client.Plugins(e.ctx)
	if err != nil {
		return err
	}
	refs := make([]*plugin.Offer, len(all))
	for i := range all {
		refs[i] = &all[i]
	}
	return printList(e, refs, pluginView, "plugins")
}

type showCmd struct {
	Target    showTarget   `cmd:"" help:"Show a target."`
	Store     showStore    `cmd:"" help:"Show a store."`
	Schedule  showSchedule `cmd:"" help:"Show a schedule."`
	Retention struct {
		Policy showPolicy `cmd:"" help:"Show a retention policy."`
	} `cmd:"" help:"Show a retention policy."`
	Policy  showPolicy  `cmd:"" hidden:"" help:"Show a retention policy."`
	Job     showJob     `cmd:"" help:"Show a job."`
	Archive showArchive `cmd:"" help:"Show an archive."`
	Task    showTask    `cmd:"" help:"Show a task with its log."`
	Plugin  showPlugin  `cmd:"" help:"Show a plugin and the fields of its endpoints."`
	User    showUser    `cmd:"" help:"Show a user."`
	Token   showToken   `cmd:"" help:"Show a token, without its value."`
	Agent   showAgent   `cmd:"" help:"Show an agent."`
}

func show[T any](e *env, n server.NounClient[T], ref string, v view[T]) error {
	one, err := n.Get(e.ctx, ref)
	if err != nil {
		return err
	}
	return printOne(e, one, v)
}

type showTarget struct{ refArg }

func (c *showTarget) Run(e *env) error { return show(e, e.client.Targets(), c.Ref, targetView) }

type showStore struct{ refArg }

func (c *showStore) Run(e *env) error { return show(e, e.client.Stores(), c.Ref, storeView) }

type showSchedule struct{ refArg }

func (c *showSchedule) Run(e *env) error { return show(e, e.client.Schedules(), c.Ref, scheduleView) }

type showPolicy struct{ refArg }

func (c *showPolicy) Run(e *env) error { return show(e, e.client.Policies(), c.Ref, policyView) }

type showJob struct{ refArg }

func (c *showJob) Run(e *env) error { return show(e, e.client.Jobs(), c.Ref, jobView) }

type showArchive struct{ refArg }

func (c *showArchive) Run(e *env) error { return show(e, e.client.Archives(), c.Ref, archiveView) }

type showTask struct{ refArg }

func (c *showTask) Run(e *env) error {
	t, err := e.client.Tasks().Get(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	if err := printOne(e, t, taskView); err != nil || e.json {
		return err
	}
	return e.printLog(e.out, t.Log)
}

type showPlugin struct{ refArg }

func (c *showPlugin) Run(e *env) error {
	p, err := e.client.Plugin(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return printOne(e, p, pluginView)
}

type statusCmd struct{}

func (c *statusCmd) Run(e *env) error {
	s, err := e.client.Status(e.ctx)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(s)
	}
	fmt.Fprintf(e.out, "shieldd %s, up since %s\n", s.Release, moment(s.StartedAt))
	if s.Mode == "DEV" {
		fmt.Fprintln(e.out, "MODE DEV: EVERY SCHEDULE MEANS EVERY MINUTE")
	}
	fmt.Fprintf(e.out, "%s, %s, %s, %s\n", count(s.Targets, "target"), count(s.Stores, "store"), count(s.Jobs, "job"), count(s.Archives, "valid archive"))
	if len(s.Breached) > 0 {
		fmt.Fprintf(e.out, "OBJECTIVE MISSED by %s\n", count(len(s.Breached), "job"))
	}
	fmt.Fprintf(e.out, "%s running, %d pending, %d failed in the last 24 hours\n", count(len(s.Running), "task"), s.Pending, s.Failures)
	for _, j := range s.Breached {
		fmt.Fprintf(e.out, "  job %s misses its objective of %s: %s\n", plain(j.Name), periods.Format(j.RPO), lastSuccess(j))
	}
	for _, a := range s.Suspicious {
		fmt.Fprintf(e.out, "SUSPICIOUS: archive %s of target %s, taken at %s, %s\n", a.UUID, plain(a.TargetName), moment(a.TakenAt), plain(a.Suspicion))
	}
	for _, t := range append(s.Running, s.Failed...) {
		fmt.Fprintf(e.out, "  %s  %s  %-7s %-10s %s %s\n", moment(t.RequestedAt), t.UUID, t.Status, t.Op, plain(t.JobName), plain(t.Error))
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
