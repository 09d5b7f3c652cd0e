package main

import (
	"fmt"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

type createCmd struct {
	Target    createTarget   `cmd:"" help:"Make a target."`
	Store     createStore    `cmd:"" help:"Make a store."`
	Schedule  createSchedule `cmd:"" help:"Make a schedule."`
	Retention struct {
		Policy createPolicy `cmd:"" help:"Make a retention policy."`
	} `cmd:"" help:"Make a retention policy."`
	Policy createPolicy `cmd:"" hidden:"" help:"Make a retention policy."`
	Job    createJob    `cmd:"" help:"Make a job."`
	User   createUser   `cmd:"" help:"Make a user."`
	Token  createToken  `cmd:"" help:"Make a token and print it. It is shown this once."`

	AgentToken createAgentToken `cmd:"" help:"Make a token that one agent can join with."`
}

// naming is what every new thing has.
type naming struct {
	Name    string `help:"Its name, unique among its kind." required:""`
	Summary string `help:"What it is for."`
	Editor  bool   `help:"Write it as YAML in $EDITOR."`
}

func (n *naming) meta() shield.Meta { return shield.Meta{Name: n.Name, Summary: n.Summary} }

type createTarget struct {
	naming
	Plugin   string `help:"Plugin that knows this kind of data system." required:""`
	Endpoint string `help:"Its settings: JSON, @FILE, or - for standard input." required:"" placeholder:"JSON|@FILE|-"`
	Agent    string `help:"Agent that reaches it; none: the daemon itself."`
	MaxTasks int    `help:"How many tasks may work on it at once; 0: no limit of its own. There is never more than one backup or restore." placeholder:"N"`
	Scratch  bool   `help:"It exists to be overwritten: a restore into it needs no confirmation."`
}

func (c *createTarget) Run(e *env) error {
	ep, err := e.endpoint(c.Endpoint)
	if err != nil {
		return err
	}
	return create(e, e.client.Targets(), &shield.Target{Meta: c.meta(), Plugin: c.Plugin, Endpoint: ep, Agent: c.Agent, MaxTasks: c.MaxTasks, Scratch: c.Scratch}, targetView)
}

type createStore struct {
	naming
	Plugin   string `help:"Plugin that knows this kind of storage." required:""`
	Endpoint string `help:"Its settings: JSON, @FILE, or - for standard input." required:"" placeholder:"JSON|@FILE|-"`
	Agent    string `help:"Agent that reaches it, or \"daemon\"; none: the daemon, and the agent of a target if the plugin needs nothing but the network."`
	Limit    string `help:"Bytes a second that may move each way, like 20MiB; or all of the limit as JSON, @FILE, or -." placeholder:"RATE|JSON|@FILE|-"`
	MaxTasks int    `help:"How many tasks may work with it at once; 0: no limit of its own." placeholder:"N"`
}

func (c *createStore) Run(e *env) error {
	ep, err := e.endpoint(c.Endpoint)
	if err != nil {
		return err
	}
	limit, err := e.limit(c.Limit)
	if err != nil {
		return err
	}
	return create(e, e.client.Stores(), &shield.Store{Meta: c.meta(), Plugin: c.Plugin, Endpoint: ep, Agent: c.Agent, Limit: limit, MaxTasks: c.MaxTasks}, storeView)
}

type createSchedule struct {
	naming
	Timespec string   `help:"When: \"every 5 minutes\", \"hourly at :15\", \"daily 4:00\", \"sundays 8am\", or a cron line." required:""`
	Timezone string   `help:"IANA time zone, like Europe/Rome; none: the daemon's, UTC unless told otherwise." placeholder:"ZONE"`
	Jitter   period   `help:"Delay each job on it by its own time below this, like 10m." placeholder:"TIME"`
	Blackout []string `help:"Window in which no run starts, like \"weekdays 8:00 to 18:00\". Can be repeated." sep:"none" placeholder:"WINDOW"`
	CatchUp  string   `help:"Whether a run that was missed is made up for: one or none." default:"one" placeholder:"one|none"`
}

func (c *createSchedule) Run(e *env) error {
	return create(e, e.client.Schedules(), &shield.Schedule{
		Meta: c.meta(), Timespec: c.Timespec, Timezone: c.Timezone,
		Jitter: int64(c.Jitter), Blackout: c.Blackout, CatchUp: c.CatchUp,
	}, scheduleView)
}

type createPolicy struct {
	naming
	Expiry      string `help:"How long archives are kept: 36h, 30d, 8w, 7y." required:"" placeholder:"TIME"`
	KeepLast    int    `help:"Keep this many of the newest archives of a job beyond that." placeholder:"N"`
	KeepHourly  int    `help:"Keep the newest archive of each of the newest N hours that have one." placeholder:"N"`
	KeepDaily   int    `help:"The same with days." placeholder:"N"`
	KeepWeekly  int    `help:"The same with weeks, which begin on Monday." placeholder:"N"`
	KeepMonthly int    `help:"The same with months." placeholder:"N"`
	KeepYearly  int    `help:"The same with years." placeholder:"N"`
	MinValid    int    `help:"How many of the newest valid archives of a target are never purged, at least 1." default:"1" placeholder:"N"`
	Timezone    string `help:"IANA time zone of hours, days and so on, like Europe/Rome; none: UTC." placeholder:"ZONE"`
}

func (c *createPolicy) Run(e *env) error {
	seconds, err := parseExpiry(c.Expiry)
	if err != nil {
		return err
	}
	return create(e, e.client.Policies(), &shield.Policy{
		Meta: c.meta(), Expiry: seconds, KeepLast: c.KeepLast, KeepHourly: c.KeepHourly, KeepDaily: c.KeepDaily, KeepWeekly: c.KeepWeekly,
		KeepMonthly: c.KeepMonthly, KeepYearly: c.KeepYearly, MinValid: c.MinValid, Timezone: c.Timezone,
	}, policyView)
}

type createJob struct {
	naming
	Target          string `help:"Target to back up." required:""`
	Store           string `help:"Store to put archives into." required:""`
	Schedule        string `help:"Schedule to run on." required:""`
	RetentionPolicy string `help:"Policy that says how long archives are kept." required:"" name:"retention-policy" placeholder:"POLICY"`
	Priority        int    `help:"0 (first) to 100 (last)." default:"50"`
	Paused          bool   `help:"Do not start it by its schedule yet."`
	Compression     string `help:"zstd level: fastest, default, better, or none; or raw, which cannot be encrypted. Default: raw if the store wants that and the job is unencrypted, else fastest." placeholder:"LEVEL"`
	Unencrypted     bool   `help:"Store archives in the clear."`
	Timeout         period `help:"Time after which a task of it is ended, like 90m; 0: the daemon's default." placeholder:"TIME"`
	IdleTimeout     period `help:"Time without a byte that moves after which a task of it is ended, like 10m; 0: the daemon's default." placeholder:"TIME"`
	Overlap         string `help:"What becomes of a run while a backup of the job has not ended: skip it, queue one, or replace what has not ended." default:"skip" placeholder:"skip|queue|replace"`
	Attempts        int    `help:"How often a backup is tried in all while its failures may pass; 0: the daemon's default." placeholder:"N"`
	Backoff         period `help:"How long it waits after the first attempt, like 1m; then twice as long each time. 0: the daemon's default." placeholder:"TIME"`
	RPO             period `help:"Objective: how old the newest good backup may be, like 26h; 0: none." name:"rpo" placeholder:"TIME"`
}

func (c *createJob) Run(e *env) error {
	return create(e, e.client.Jobs(), &shield.Job{
		Meta: c.meta(), Target: c.Target, Store: c.Store, Schedule: c.Schedule, Policy: c.RetentionPolicy,
		Priority: c.Priority, Paused: c.Paused, Compression: c.Compression, Unencrypted: c.Unencrypted, Timeout: int64(c.Timeout),
		IdleTimeout: int64(c.IdleTimeout), Overlap: c.Overlap, Attempts: c.Attempts, Backoff: int64(c.Backoff), RPO: int64(c.RPO),
	}, jobView)
}

func create[T any](e *env, n server.NounClient[T], v *T, view view[T]) error {
	out, err := n.Create(e.ctx, v)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(out)
	}
	row := view.row(out)
	_, err = fmt.Fprintf(e.out, "created %s %s (%s)\n", view.kind, row[0], view.uuid(out))
	return err
}
