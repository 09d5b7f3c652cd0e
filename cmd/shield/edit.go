package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

type editCmd struct {
	Target    editTarget   `cmd:"" help:"Change a target."`
	Store     editStore    `cmd:"" help:"Change a store."`
	Schedule  editSchedule `cmd:"" help:"Change a schedule."`
	Retention struct {
		Policy editPolicy `cmd:"" help:"Change a retention policy."`
	} `cmd:"" help:"Change a retention policy."`
	Policy  editPolicy  `cmd:"" hidden:"" help:"Change a retention policy."`
	Job     editJob     `cmd:"" help:"Change a job."`
	Archive editArchive `cmd:"" help:"Change the notes of an archive."`
	User    editUser    `cmd:"" help:"Change a user."`
	Token   editToken   `cmd:"" help:"Change a token."`
}

// refArg is the argument that names a thing.
type refArg struct {
	Ref string `arg:"" help:"Name or UUID."`
}

// Validate refuses an empty name, such as that of an unset variable. Kong
// asks before it looks whether there is an argument at all.
func (r refArg) Validate() error {
	if r.Ref == "" {
		return errors.New("a name or UUID is wanted")
	}
	return nil
}

// renaming is what can be changed of every thing.
type renaming struct {
	refArg
	Name    *string `help:"New name."`
	Summary *string `help:"What it is for."`
	Editor  bool    `help:"Change it as YAML in $EDITOR."`
}

func (r *renaming) patch() patch { return patch{}.set("name", r.Name).set("summary", r.Summary) }

// patch is a JSON merge patch.
type patch map[string]any

// set adds a field that was given.
func (p patch) set(field string, v *string) patch {
	if v != nil {
		p[field] = *v
	}
	return p
}

// setNumber adds a number that was given.
func (p patch) setNumber(field string, v *int) patch {
	if v != nil {
		p[field] = *v
	}
	return p
}

// setFlag adds a flag that was given.
func (p patch) setFlag(field string, v *bool) patch {
	if v != nil {
		p[field] = *v
	}
	return p
}

// setPeriod adds a period that was given.
func (p patch) setPeriod(field string, v *period) patch {
	if v != nil {
		p[field] = int64(*v)
	}
	return p
}

// setEndpoint adds an endpoint that was given.
func (p patch) setEndpoint(e *env, v *string) error {
	if v == nil {
		return nil
	}
	ep, err := e.endpoint(*v)
	if err == nil {
		p["endpoint"] = ep
	}
	return err
}

type editTarget struct {
	renaming
	Plugin   *string `help:"Plugin that knows this kind of data system."`
	Endpoint *string `help:"Its settings, whole: JSON, @FILE, or - for standard input. A secret given as ******** is kept." placeholder:"JSON|@FILE|-"`
	Agent    *string `help:"Agent that reaches it; empty: the daemon itself."`
	MaxTasks *int    `help:"How many tasks may work on it at once; 0: no limit of its own." placeholder:"N"`
	Scratch  *bool   `help:"It exists to be overwritten: a restore into it needs no confirmation." negatable:""`
}

func (c *editTarget) Run(e *env) error {
	p := c.patch().set("plugin", c.Plugin).set("agent", c.Agent).setNumber("max_tasks", c.MaxTasks).setFlag("scratch", c.Scratch)
	if err := p.setEndpoint(e, c.Endpoint); err != nil {
		return err
	}
	return edit(e, e.client.Targets(), c.Ref, p, targetView)
}

type editStore struct {
	renaming
	Plugin   *string `help:"Plugin that knows this kind of storage."`
	Endpoint *string `help:"Its settings, whole: JSON, @FILE, or - for standard input. A secret given as ******** is kept." placeholder:"JSON|@FILE|-"`
	Agent    *string `help:"Agent that reaches it, or \"daemon\"; empty: the daemon, and the agent of a target if the plugin needs nothing but the network."`
	Limit    *string `help:"Bytes a second that may move each way, like 20MiB; none; or all of the limit as JSON, @FILE, or -." placeholder:"RATE|JSON|@FILE|-"`
	MaxTasks *int    `help:"How many tasks may work with it at once; 0: no limit of its own." placeholder:"N"`
}

func (c *editStore) Run(e *env) error {
	p := c.patch().set("plugin", c.Plugin).set("agent", c.Agent).setNumber("max_tasks", c.MaxTasks)
	if err := p.setEndpoint(e, c.Endpoint); err != nil {
		return err
	}
	if c.Limit != nil {
		limit, err := e.limit(*c.Limit)
		if err != nil {
			return err
		}
		p["limit"] = limit
	}
	return edit(e, e.client.Stores(), c.Ref, p, storeView)
}

type editSchedule struct {
	renaming
	Timespec *string  `help:"When."`
	Timezone *string  `help:"IANA time zone; empty: the daemon's, UTC unless told otherwise." placeholder:"ZONE"`
	Jitter   *period  `help:"Delay each job on it by its own time below this, like 10m; 0: not at all." placeholder:"TIME"`
	Blackout []string `help:"Window in which no run starts, like \"weekdays 8:00 to 18:00\". Can be repeated, and replaces those that there are; empty: none." sep:"none" placeholder:"WINDOW"`
	CatchUp  *string  `help:"Whether a run that was missed is made up for: one or none." placeholder:"one|none"`
}

func (c *editSchedule) Run(e *env) error {
	p := c.patch().set("timespec", c.Timespec).set("timezone", c.Timezone).set("catch_up", c.CatchUp).setPeriod("jitter", c.Jitter)
	switch {
	case slices.Equal(c.Blackout, []string{""}):
		p["blackout"] = []string{}
	case len(c.Blackout) > 0:
		p["blackout"] = c.Blackout
	}
	return edit(e, e.client.Schedules(), c.Ref, p, scheduleView)
}

type editPolicy struct {
	renaming
	Expiry      *string `help:"How long archives are kept: 36h, 30d, 8w, 7y. Archives that exist keep their expiry." placeholder:"TIME"`
	KeepLast    *int    `help:"Keep this many of the newest archives of a job beyond that; 0: none." placeholder:"N"`
	KeepHourly  *int    `help:"Keep the newest archive of each of the newest N hours that have one; 0: none." placeholder:"N"`
	KeepDaily   *int    `help:"The same with days." placeholder:"N"`
	KeepWeekly  *int    `help:"The same with weeks, which begin on Monday." placeholder:"N"`
	KeepMonthly *int    `help:"The same with months." placeholder:"N"`
	KeepYearly  *int    `help:"The same with years." placeholder:"N"`
	MinValid    *int    `help:"How many of the newest valid archives of a target are never purged, at least 1." placeholder:"N"`
	Timezone    *string `help:"IANA time zone of hours, days and so on; empty: UTC." placeholder:"ZONE"`
}

func (c *editPolicy) Run(e *env) error {
	p := c.patch().set("timezone", c.Timezone)
	for field, n := range map[string]*int{
		"keep_last": c.KeepLast, "keep_hourly": c.KeepHourly, "keep_daily": c.KeepDaily, "keep_weekly": c.KeepWeekly,
		"keep_monthly": c.KeepMonthly, "keep_yearly": c.KeepYearly, "min_valid": c.MinValid,
	} {
		if n != nil {
			p[field] = *n
		}
	}
	if c.Expiry != nil {
		seconds, err := parseExpiry(*c.Expiry)
		if err != nil {
			return err
		}
		p["expiry"] = seconds
	}
	return edit(e, e.client.Policies(), c.Ref, p, policyView)
}

type editJob struct {
	renaming
	Target          *string `help:"Target to back up."`
	Store           *string `help:"Store to put archives into."`
	Schedule        *string `help:"Schedule to run on."`
	RetentionPolicy *string `help:"Policy that says how long archives are kept." name:"retention-policy" placeholder:"POLICY"`
	Priority        *int    `help:"0 (first) to 100 (last)."`
	Paused          *bool   `help:"Do not start it by its schedule." negatable:""`
	Compression     *string `help:"zstd level: fastest, default, better, or none; or raw, which cannot be encrypted." placeholder:"LEVEL"`
	Unencrypted     *bool   `help:"Store archives in the clear." negatable:""`
	Timeout         *period `help:"Time after which a task of it is ended, like 90m; 0: the daemon's default." placeholder:"TIME"`
	IdleTimeout     *period `help:"Time without a byte that moves after which a task of it is ended, like 10m; 0: the daemon's default." placeholder:"TIME"`
	Overlap         *string `help:"What becomes of a run while a backup of the job has not ended: skip it, queue one, or replace what has not ended." placeholder:"skip|queue|replace"`
	Attempts        *int    `help:"How often a backup is tried in all while its failures may pass; 0: the daemon's default." placeholder:"N"`
	Backoff         *period `help:"How long it waits after the first attempt, like 1m; then twice as long each time. 0: the daemon's default." placeholder:"TIME"`
	RPO             *period `help:"Objective: how old the newest good backup may be, like 26h; 0: none." name:"rpo" placeholder:"TIME"`
}

func (c *editJob) Run(e *env) error {
	p := c.patch().set("target_uuid", c.Target).set("store_uuid", c.Store).set("schedule_uuid", c.Schedule).
		set("retention_uuid", c.RetentionPolicy).set("compression", c.Compression).set("overlap", c.Overlap).
		setFlag("paused", c.Paused).setFlag("unencrypted", c.Unencrypted).
		setNumber("priority", c.Priority).setNumber("attempts", c.Attempts).
		setPeriod("timeout", c.Timeout).setPeriod("idle_timeout", c.IdleTimeout).setPeriod("backoff", c.Backoff).setPeriod("rpo", c.RPO)
	return edit(e, e.client.Jobs(), c.Ref, p, jobView)
}

type editArchive struct {
	refArg
	Notes string `help:"Notes." required:""`
}

func (c *editArchive) Run(e *env) error {
	return edit(e, e.client.Archives(), c.Ref, patch{"notes": c.Notes}, archiveView)
}

type pauseCmd struct {
	Job pauseJob `cmd:"" help:"Stop starting a job by its schedule."`
}

type pauseJob struct{ refArg }

func (c *pauseJob) Run(e *env) error {
	return edit(e, e.client.Jobs(), c.Ref, patch{"paused": true}, jobView)
}

type pausedCmd struct {
	Job pausedJob `cmd:"" help:"Print yes or no: whether a job is paused."`
}

type pausedJob struct{ refArg }

func (c *pausedJob) Run(e *env) error {
	j, err := e.client.Jobs().Get(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]bool{"paused": j.Paused})
	}
	_, err = fmt.Fprintln(e.out, yes(j.Paused))
	return err
}

type unpauseCmd struct {
	Job unpauseJob `cmd:"" help:"Start a job by its schedule again."`
}

type unpauseJob struct{ refArg }

func (c *unpauseJob) Run(e *env) error {
	return edit(e, e.client.Jobs(), c.Ref, patch{"paused": false}, jobView)
}

func edit[T any](e *env, n server.NounClient[T], ref string, p patch, view view[T]) error {
	if len(p) == 0 {
		return shield.Errorf(shield.Invalid, "", "nothing to change was given: see shield edit %s --help", view.kind)
	}
	out, err := n.Edit(e.ctx, ref, p)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(out)
	}
	_, err = fmt.Fprintf(e.out, "changed %s %s\n", view.kind, view.row(out)[0])
	return err
}

type deleteCmd struct {
	Target    deleteTarget   `cmd:"" help:"Delete a target."`
	Store     deleteStore    `cmd:"" help:"Delete a store."`
	Schedule  deleteSchedule `cmd:"" help:"Delete a schedule."`
	Retention struct {
		Policy deletePolicy `cmd:"" help:"Delete a retention policy."`
	} `cmd:"" help:"Delete a retention policy."`
	Policy  deletePolicy  `cmd:"" hidden:"" help:"Delete a retention policy."`
	Job     deleteJob     `cmd:"" help:"Delete a job."`
	Archive deleteArchive `cmd:"" help:"Remove an archive from its store."`
	User    deleteUser    `cmd:"" help:"Delete a user with the user's tokens and sessions."`
	Token   deleteToken   `cmd:"" help:"Revoke a token."`
	Agent   deleteAgent   `cmd:"" help:"Forget an agent and revoke its certificate."`
}

type deleteTarget struct{ refArg }

func (c *deleteTarget) Run(e *env) error { return remove(e, e.client.Targets(), c.Ref, "target") }

type deleteStore struct{ refArg }

func (c *deleteStore) Run(e *env) error { return remove(e, e.client.Stores(), c.Ref, "store") }

type deleteSchedule struct{ refArg }

func (c *deleteSchedule) Run(e *env) error { return remove(e, e.client.Schedules(), c.Ref, "schedule") }

type deletePolicy struct{ refArg }

func (c *deletePolicy) Run(e *env) error {
	return remove(e, e.client.Policies(), c.Ref, "retention policy")
}

type deleteJob struct{ refArg }

func (c *deleteJob) Run(e *env) error { return remove(e, e.client.Jobs(), c.Ref, "job") }

func remove[T any](e *env, n server.NounClient[T], ref, kind string) error {
	if err := n.Delete(e.ctx, ref); err != nil {
		return err
	}
	if e.json {
		return nil
	}
	_, err := fmt.Fprintf(e.out, "deleted %s %s\n", kind, ref)
	return err
}

type deleteArchive struct {
	refArg
	Wait bool `help:"Wait until the store has confirmed."`
}

func (c *deleteArchive) Run(e *env) error {
	t, err := e.client.PurgeArchive(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}
