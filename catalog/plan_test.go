package catalog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
)

// TestPlans checks that no query of a table that grows reads all of it or
// sorts it.
func TestPlans(t *testing.T) {
	db := mustOpen(t, catalog.Memory)
	yes, no := true, false
	at := time.Unix(1, 0)
	for _, test := range []struct {
		name  string
		sql   string
		index string
	}{
		{"claim", db.ClaimSQL(), "tasks_claim"},
		{"claim, job", db.ClaimSQL(), "tasks_running_job"},
		{"claim, target", db.ClaimSQL(), "tasks_running_target"},
		{"claim, running", db.ClaimSQL(), "tasks_running_agent"},
		{"claim, store", db.ClaimSQL(), "tasks_running_store"},
		{"missed objectives", db.MissedSQL(), "jobs_objective"},
		{"objectives met again", db.MetSQL(), "jobs_breached"},
		{"jobs, next run", db.JobsSQL(shield.Filter{}), "runs_next"},
		{"targets to review", db.WaitingSQL(), "reviews_due"},
		{"archives to review, of their targets", db.ValidSQL(), "archives_valid"},
		{"archives to review, suspicious ones", db.DoubtfulSQL(), "archives_suspicious"},
		{"who has a key", catalog.KeyOwnerSQL, "archives_key"},
		{"who has a manifest", catalog.KeyOwnerSQL, "archives_manifest"},
		{"reviews that are put off", db.PutOffSQL(), "INTEGER PRIMARY KEY"},
		{"reviews that end", db.EndReviewsSQL(), "INTEGER PRIMARY KEY"},
		{"archives that are given up", db.GiveUpSQL(), "INTEGER PRIMARY KEY"},
		{"archives that are given up, newer", db.GiveUpSQL(), "archives_valid"},
		{"purges that are open", db.OpenPurgesSQL(), "tasks_open_archive"},
		{"archives to purge", db.ToPurgeSQL(), "archives_going"},
		{"archives to purge, open", db.ToPurgeSQL(), "tasks_open_archive"},
		{"lapsed", db.RunningSQL(), "tasks_"},
		{"archives", db.ArchivesSQL(shield.Filter{Limit: 1}), "archives_taken"},
		{"archives between", db.ArchivesSQL(shield.Filter{After: at, Before: at}), "archives_taken"},
		{"archives by what they take", db.ArchivesSQL(shield.Filter{Sort: "-stored_size", Limit: 1}), "archives_stored_size"},
		{"archives by what they hold", db.ArchivesSQL(shield.Filter{Sort: "raw_size", Limit: 1}), "archives_raw_size"},
		{"jobs by their last change", db.JobsSQL(shield.Filter{Sort: "-updated_at", Limit: 1}), "jobs_updated"},
		{"jobs by when they were made", db.JobsSQL(shield.Filter{Sort: "created_at", Limit: 1}), "jobs_created"},
		{"archives of a target", db.ArchivesSQL(shield.Filter{Target: "x"}), "archives_target"},
		{"archives in a store", db.ArchivesSQL(shield.Filter{Store: "x"}), "archives_store"},
		{"archives of a job", db.ArchivesSQL(shield.Filter{Job: "x"}), "archives_job"},
		{"archives that are suspicious", db.ArchivesSQL(shield.Filter{Suspicious: &yes}), "archives_suspicious"},
		{"archives of a job that are suspicious", db.ArchivesSQL(shield.Filter{Job: "x", Target: "y", Suspicious: &yes, Statuses: []string{"valid", "invalid"}, Limit: 1}), "archives_suspicious"},
		{"archives of a job that are not", db.ArchivesSQL(shield.Filter{Job: "x", Target: "y", Suspicious: &no, Limit: 10,
			Statuses: []string{"valid", "expired", "purging", "purged"}}), "archives_job"},
		{"archives by status", db.ArchivesSQL(shield.Filter{Statuses: []string{"purging"}}), "archives_status"},
		{"tasks", db.TasksSQL(shield.Filter{Limit: 1}), "tasks_requested"},
		{"tasks of a job", db.TasksSQL(shield.Filter{Job: "x"}), "tasks_job"},
		{"tasks of a target", db.TasksSQL(shield.Filter{Target: "x"}), "tasks_target"},
		{"tasks with a store", db.TasksSQL(shield.Filter{Store: "x"}), "tasks_store"},
		{"tasks by status", db.TasksSQL(shield.Filter{Statuses: []string{"failed"}}), "tasks_status"},
		{"runs", db.RunsSQL(shield.Filter{Before: at}), "runs_due"},
		{"runs of a job", db.RunsSQL(shield.Filter{Job: "x"}), "sqlite_autoindex_runs"},
		{"runs by status", db.RunsSQL(shield.Filter{Statuses: []string{"due"}}), "runs_status"},
		{"run of a task", "UPDATE runs SET reason = '' WHERE task_uuid = 'x' AND task_uuid <> ''", "runs_task"},
		{"runs that are due", db.DueSQL(), "runs_status"},
		{"the next due", db.NextDueSQL(), "runs_status"},
		{"steps", db.EndRunsSQL(), "sqlite_autoindex_runs"},
		{"jobs with open backups", db.OpenJobsSQL(), "tasks_open_job"},
		{"open backups of a job", db.TasksSQL(shield.Filter{Job: "x", Op: shield.OpBackup, Statuses: []string{"pending", "running"}}), "tasks_open_job"},
		{"tasks with an archive", db.TasksSQL(shield.Filter{Archive: "x", Statuses: []string{"pending", "running"}}), "tasks_open_archive"},
		{"jobs that have changed", db.PlansSQL(shield.PlanFilter{Changed: true, After: "x", Limit: 1}), "jobs_unplanned"},
		{"jobs of a schedule", db.PlansSQL(shield.PlanFilter{Schedule: "x", After: "x", Limit: 1}), "jobs_schedule"},
		{"all jobs", db.PlansSQL(shield.PlanFilter{After: "x", Limit: 1}), "sqlite_autoindex_jobs"},
		{"due runs of jobs", db.JobsDueSQL(), "runs_next"},
		{"schedules that have changed", db.ChangedSchedulesSQL(), "schedules_unplanned"},
		{"events", db.EventsSQL(shield.Filter{Limit: 1}), "events_at"},
		{"audit log of a day", db.AuditSQL(shield.AuditFilter{After: at, Behind: new(int64)}), "PRIMARY KEY"},
		{"audit log of somebody", db.AuditSQL(shield.AuditFilter{Who: "x"}), "audit_who"},
		{"tokens of a user", "DELETE FROM tokens WHERE user_uuid = 'x'", "tokens_user"},
		{"sessions that expired", "DELETE FROM sessions WHERE expires_at <= 1", "sessions_expiry"},
		{"targets", db.TargetsSQL(shield.Filter{Used: &yes}), "jobs_target"},
		{"jobs", db.JobsSQL(shield.Filter{}), "sqlite_autoindex_targets"},
		{"delete target, archives", "DELETE FROM targets WHERE uuid = 'x'", "archives_target_held"},
		{"delete target, jobs", "DELETE FROM targets WHERE uuid = 'x'", "jobs_target"},
		{"delete store", "DELETE FROM stores WHERE uuid = 'x'", "archives_store_held"},
	} {
		t.Run(test.name, func(t *testing.T) { checkPlan(t, db, test.sql, test.index) })
	}
}

func checkPlan(t *testing.T, db *catalog.DB, sql, index string) {
	plan, err := db.Plan(sql)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plan, index) {
		t.Errorf("index %s is not used:\n%s", index, plan)
	}
	for step := range strings.Lines(plan) {
		if strings.TrimSpace(step) == "SCAN d" || strings.HasSuffix(strings.TrimSpace(step), "CONSTANT ROWS") {
			continue // what the statement itself lists
		}
		if strings.HasPrefix(step, "SCAN") && !strings.Contains(step, "USING") || strings.Contains(step, "TEMP B-TREE") {
			t.Errorf("reads or sorts a whole table: %s\n%s", step, plan)
		}
	}
}
