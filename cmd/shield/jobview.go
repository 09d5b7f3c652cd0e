package main

import (
	"cmp"
	"strconv"

	"github.com/shieldhq/shield"
	periods "github.com/shieldhq/shield/internal/period"
)

var jobView = view[shield.Job]{
	kind: "job", columns: []string{"name", "target", "store", "schedule", "retention policy", "priority", "paused", "objective", "summary"},
	row: func(j *shield.Job) []string {
		return []string{j.Name, j.TargetName, j.StoreName, j.ScheduleName, j.PolicyName, strconv.Itoa(j.Priority), yes(j.Paused), objective(j), j.Summary}
	},
	uuid: metaUUID(func(j *shield.Job) *shield.Meta { return &j.Meta }),
	more: func(j *shield.Job) [][2]string {
		return [][2]string{
			{"last success", lastSuccess(j)}, {"next due", moment(j.NextDue)},
			{"compression", cmp.Or(j.Compression, defaultCompression(j))}, {"encrypted", yes(!j.Unencrypted)},
			{"timeout", timeout(j.Timeout)}, {"idle timeout", timeout(j.IdleTimeout)}, {"overlap", j.Overlap},
			{"attempts", attemptsOf(j)}, {"backoff", timeout(j.Backoff)},
		}
	},
}

// defaultCompression is what a job has that names none.
func defaultCompression(j *shield.Job) string {
	if j.Unencrypted {
		return "raw if the store wants that, else fastest"
	}
	return "fastest"
}

// objective is that of a job, marked if it is missed.
func objective(j *shield.Job) string {
	switch {
	case j.RPO == 0:
		return "-"
	case j.Breached:
		return periods.Format(j.RPO) + " MISSED"
	}
	return periods.Format(j.RPO)
}

// lastSuccess tells when the newest good backup of a job was taken, and why
// there is no newer one if nobody is to expect any.
func lastSuccess(j *shield.Job) string {
	text := "never"
	if !j.LastSuccess.IsZero() {
		text = moment(j.LastSuccess)
	}
	if j.Breached && j.Paused {
		text += ", and the job is paused"
	}
	return text
}

func attemptsOf(j *shield.Job) string {
	if j.Attempts == 0 {
		return "the daemon's default"
	}
	return strconv.Itoa(j.Attempts)
}
