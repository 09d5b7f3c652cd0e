package catalog

import (
	"encoding/json"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type taskRow struct {
	bun.BaseModel  `bun:"table:tasks,alias:n"`
	ID             int64  `bun:"id,pk,autoincrement"`
	UUID           string `bun:"uuid"`
	Owner          string `bun:"owner"`
	Op             string `bun:"op"`
	Status         string `bun:"status"`
	Priority       int    `bun:"priority"`
	Job            string `bun:"job_uuid"`
	JobName        string `bun:"job_name"`
	Archive        string `bun:"archive_uuid"`
	Target         string `bun:"target_uuid"`
	TargetName     string `bun:"target_name"`
	TargetPlugin   string `bun:"target_plugin"`
	Store          string `bun:"store_uuid"`
	StoreName      string `bun:"store_name"`
	StorePlugin    string `bun:"store_plugin"`
	Agent          string `bun:"agent"`
	Key            string `bun:"restore_key"`
	ManifestKey    string `bun:"manifest_key"`
	Retention      int64  `bun:"retention"`
	Compression    string `bun:"compression"`
	Unencrypted    bool   `bun:"unencrypted"`
	RequestedAt    stamp  `bun:"requested_at"`
	StartedAt      stamp  `bun:"started_at"`
	StoppedAt      stamp  `bun:"stopped_at"`
	TimeoutAt      stamp  `bun:"timeout_at"`
	Timeout        int64  `bun:"timeout"`
	IdleTimeout    int64  `bun:"idle_timeout"`
	Attempts       int    `bun:"attempts"`
	MaxAttempts    int    `bun:"max_attempts"`
	Backoff        int64  `bun:"backoff"`
	NotBefore      stamp  `bun:"not_before"`
	LeaseOwner     string `bun:"lease_owner"`
	LeaseEpoch     int64  `bun:"lease_epoch"`
	LeaseExpires   stamp  `bun:"lease_expires"`
	ErrorCode      string `bun:"error_code"`
	Error          string `bun:"error"`
	RawBytes       int64  `bun:"raw_bytes"`
	StoredBytes    int64  `bun:"stored_bytes"`
	Rate           int64  `bun:"rate"`
	TotalBytes     int64  `bun:"total_bytes"`
	Expected       string `bun:"expected"` // an archive as JSON, or empty
	TargetEndpoint string `bun:"target_endpoint"`
	StoreEndpoint  string `bun:"store_endpoint"`
	Log            string `bun:"log"`

	StoreLimit document[shield.Limit]     `bun:"store_limit"`
	Findings   document[*shield.Findings] `bun:"findings"`
}

func taskToRow(t *shield.Task) (*taskRow, error) {
	expected, err := expectedToText(t.Expected)
	if err != nil {
		return nil, err
	}
	return &taskRow{
		UUID: t.UUID, Owner: t.Owner, Op: string(t.Op), Status: string(t.Status), Priority: t.Priority,
		Job: t.Job, JobName: t.JobName, Archive: t.Archive,
		Target: t.Target, TargetName: t.TargetName, TargetPlugin: t.TargetPlugin, TargetEndpoint: string(t.TargetEndpoint),
		Store: t.Store, StoreName: t.StoreName, StorePlugin: t.StorePlugin, StoreEndpoint: string(t.StoreEndpoint),
		Agent: t.Agent, Key: t.Key, ManifestKey: t.ManifestKey,
		Retention: t.Retention, Compression: t.Compression, Unencrypted: t.Unencrypted, Expected: expected,
		RequestedAt: stampOf(t.RequestedAt), StartedAt: stampOf(t.StartedAt), StoppedAt: stampOf(t.StoppedAt),
		TimeoutAt: stampOf(t.TimeoutAt), Timeout: t.Timeout, IdleTimeout: t.IdleTimeout,
		Attempts: t.Attempts, MaxAttempts: t.MaxAttempts, Backoff: t.Backoff, NotBefore: stampOf(t.NotBefore),
		LeaseOwner: t.LeaseOwner, LeaseEpoch: t.LeaseEpoch, LeaseExpires: stampOf(t.LeaseExpires),
		ErrorCode: string(t.ErrorCode), Error: t.Error,
		RawBytes: t.Progress.RawBytes, StoredBytes: t.Progress.StoredBytes,
		Rate: t.Progress.Rate, TotalBytes: t.Progress.TotalBytes,
		Log:        t.Log,
		StoreLimit: document[shield.Limit]{t.StoreLimit}, Findings: document[*shield.Findings]{t.Findings},
	}, nil
}

func (r *taskRow) noun() (*shield.Task, error) {
	expected, err := textToExpected(r.Expected)
	if err != nil {
		return nil, err
	}
	return &shield.Task{
		UUID: r.UUID, Owner: r.Owner, Op: shield.Op(r.Op), Status: shield.TaskStatus(r.Status), Priority: r.Priority,
		Job: r.Job, JobName: r.JobName, Archive: r.Archive,
		Target: r.Target, TargetName: r.TargetName, TargetPlugin: r.TargetPlugin, TargetEndpoint: endpoint(r.TargetEndpoint),
		Store: r.Store, StoreName: r.StoreName, StorePlugin: r.StorePlugin, StoreEndpoint: endpoint(r.StoreEndpoint),
		Agent: r.Agent, Key: r.Key, ManifestKey: r.ManifestKey,
		Retention: r.Retention, Compression: r.Compression, Unencrypted: r.Unencrypted, Expected: expected,
		RequestedAt: r.RequestedAt.Time, StartedAt: r.StartedAt.Time, StoppedAt: r.StoppedAt.Time,
		TimeoutAt: r.TimeoutAt.Time, Timeout: r.Timeout, IdleTimeout: r.IdleTimeout,
		Attempts: r.Attempts, MaxAttempts: r.MaxAttempts, Backoff: r.Backoff, NotBefore: r.NotBefore.Time,
		LeaseOwner: r.LeaseOwner, LeaseEpoch: r.LeaseEpoch, LeaseExpires: r.LeaseExpires.Time,
		ErrorCode: shield.Code(r.ErrorCode), Error: r.Error,
		Progress: shield.Progress{RawBytes: r.RawBytes, StoredBytes: r.StoredBytes, Rate: r.Rate, TotalBytes: r.TotalBytes},
		Log:      r.Log,

		StoreLimit: r.StoreLimit.V, Findings: r.Findings.V,
	}, nil
}

// endpoint keeps a missing endpoint nil.
func endpoint(text string) shield.Endpoint {
	if text == "" {
		return nil
	}
	return shield.Endpoint(text)
}

func expectedToText(a *shield.Archive) (string, error) {
	if a == nil {
		return "", nil
	}
	text, err := json.Marshal(a)
	if err != nil {
		return "", shield.FieldErrorf("expected", "cannot be written as JSON: %v", err)
	}
	return string(text), nil
}

func textToExpected(text string) (*shield.Archive, error) {
	if text == "" {
		return nil, nil
	}
	a := new(shield.Archive)
	if err := json.Unmarshal([]byte(text), a); err != nil {
		return nil, &shield.Error{Code: shield.Corrupt, Field: "expected", Message: "is not the JSON of an archive"}
	}
	return a, nil
}

func tasksOf(rows []*taskRow) ([]*shield.Task, error) {
	tasks := make([]*shield.Task, len(rows))
	for i, r := range rows {
		t, err := r.noun()
		if err != nil {
			return nil, err
		}
		tasks[i] = t
	}
	return tasks, nil
}
