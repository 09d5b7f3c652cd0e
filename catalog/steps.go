package catalog

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// TakeSteps implements shield.RunService. All is checked before anything is
// written, so that a step is taken as a whole or not at all.
func (db *DB) TakeSteps(ctx context.Context, steps []*shield.RunStep) error {
	if len(steps) == 0 {
		return nil
	}
	return db.write(ctx, "catalog.TakeSteps", func(ctx context.Context, tx bun.Tx) error {
		t := taking{recorded: map[occurrence]shield.RunStatus{}}
		if err := t.check(ctx, tx, steps); err != nil {
			return err
		}
		for _, s := range steps {
			if s.Err == nil {
				s.Err = t.prepare(s)
			}
		}
		return t.write(ctx, tx)
	})
}

// An occurrence is what a run is unique by.
type occurrence struct {
	job string
	due int64
}

func occurrenceOf(r *shield.Run) occurrence { return occurrence{r.Job, floorMilli(r.DueAt)} }

// taking is the rows that a number of steps comes to.
type taking struct {
	recorded map[occurrence]shield.RunStatus
	known    map[string]string // what tasks name, by UUID: its name
	runs     []*runRow         // that are made
	tasks    []*taskRow
	events   []*eventRow
	ends     []*shield.Run
}

// check reads what the steps depend on, and sets Err of those that come late.
func (t *taking) check(ctx context.Context, tx bun.Tx, steps []*shield.RunStep) error {
	var uuids, pairs []string
	for _, s := range steps {
		s.Err = nil
		uuids = append(uuids, s.Run.UUID)
		for _, also := range s.Also {
			if !shield.IsUUID(also.Run.Job) {
				return noJob(also.Run.Job, nil)
			}
			pairs = append(pairs, fmt.Sprintf("('%s', %d)", also.Run.Job, floorMilli(also.Run.DueAt)))
		}
	}
	var rows []*runRow
	if err := tx.NewSelect().Model(&rows).Where("n.uuid IN (?)", bun.List(uuids)).Scan(ctx); err != nil {
		return err
	}
	now := map[string]*shield.Run{}
	for _, r := range each(rows, (*runRow).noun) {
		now[r.UUID] = r
	}
	for _, s := range steps {
		if r := now[s.Run.UUID]; r == nil {
			s.Err = notFound("run", s.Run.UUID)
		} else if r.Status != shield.RunDue {
			s.Err = ended(r)
		}
	}
	if err := t.readNames(ctx, tx, steps); err != nil || len(pairs) == 0 {
		return err
	}
	rows = nil
	err := tx.NewSelect().Model(&rows).Where("(n.job_uuid, n.due_at) IN (VALUES " + strings.Join(pairs, ", ") + ")").Scan(ctx)
	for _, r := range each(rows, (*runRow).noun) {
		t.recorded[occurrenceOf(r)] = r.Status
	}
	return err
}

// readNames reads which jobs, targets and stores of tasks there are.
func (t *taking) readNames(ctx context.Context, tx bun.Tx, steps []*shield.RunStep) error {
	named := map[string][]string{}
	for _, s := range steps {
		if s.Task != nil {
			named["jobs"], named["targets"], named["stores"] = append(named["jobs"], s.Task.Job), append(named["targets"], s.Task.Target), append(named["stores"], s.Task.Store)
		}
	}
	t.known = map[string]string{}
	for table, uuids := range named {
		var rows []*metaRow
		q := tx.NewSelect().Model(&rows).ModelTableExpr("? AS meta_row", bun.Ident(table)).Column("uuid", "name").Where("uuid IN (?)", bun.List(uuids))
		if err := q.Scan(ctx); err != nil {
			return err
		}
		for _, r := range rows {
			t.known[r.UUID] = r.Name
		}
	}
	return nil
}

// prepare adds the rows of a step, or returns why it cannot be taken.
func (t *taking) prepare(s *shield.RunStep) error {
	made := taking{}
	for _, also := range s.Also {
		r := *also.Run
		switch status, recorded := t.recorded[occurrenceOf(&r)]; {
		case !recorded:
		case r.Status == shield.RunDue && status != shield.RunDue:
			return &shield.Error{Code: shield.Conflict, Field: "due_at", Message: fmt.Sprintf("the run of job %s due at %s is %s already", r.Job, r.DueAt, status)}
		default:
			continue
		}
		if err := checkAlso(&r); err != nil {
			return err
		}
		made.runs = append(made.runs, runToRow(&r))
		made.addEvent(also.Event)
	}
	run := *s.Run
	run.Reason = clean(run.Reason)
	if s.Task != nil {
		row, err := t.taskRow(s.Task)
		if err != nil {
			return err
		}
		made.tasks = append(made.tasks, row)
		run.Task, run.Status = row.UUID, shield.RunStarted
	} else if !run.Status.Final() {
		return shield.FieldErrorf("status", "is %.100q: a run without a task ends", run.Status)
	}
	made.addEvent(s.Event)
	made.ends = append(made.ends, &run)
	t.runs, t.tasks = append(t.runs, made.runs...), append(t.tasks, made.tasks...)
	t.events, t.ends = append(t.events, made.events...), append(t.ends, made.ends...)
	return nil
}

func checkAlso(r *shield.Run) (err error) {
	if r.UUID, err = newUUID(r.UUID); err != nil {
		return err
	}
	r.DueAt, r.Reason = whole(r.DueAt), clean(r.Reason)
	return checkNewRun(r)
}

// taskRow is createTask without its statements.
func (t *taking) taskRow(given *shield.Task) (*taskRow, error) {
	task := *given
	if err := checkTask(&task); err != nil {
		return nil, err
	}
	for _, r := range []struct {
		field, uuid string
		name        *string
	}{
		{"job_uuid", task.Job, &task.JobName},
		{"target_uuid", task.Target, &task.TargetName},
		{"store_uuid", task.Store, &task.StoreName},
	} {
		name, ok := t.known[r.uuid]
		if !ok && r.uuid != "" {
			return nil, shield.FieldErrorf(r.field, "%.100q does not exist: the UUID of what a task works on is wanted", r.uuid)
		}
		*r.name = cmp.Or(*r.name, name)
	}
	var err error
	if task.UUID, err = newUUID(task.UUID); err != nil {
		return nil, err
	}
	makePending(&task)
	return taskToRow(&task)
}

func (t *taking) addEvent(e *shield.Event) {
	if e != nil {
		t.events = append(t.events, eventToRow(e))
	}
}

// write writes the rows of each kind at once.
func (t *taking) write(ctx context.Context, tx bun.Tx) error {
	if err := insertAll(ctx, tx, t.runs); err != nil {
		return err
	}
	if err := insertAll(ctx, tx, t.tasks); err != nil {
		return err
	}
	if len(t.ends) > 0 {
		var args []any
		for _, r := range t.ends {
			args = append(args, r.UUID, string(r.Status), r.Task, r.Reason)
		}
		if _, err := tx.Tx.ExecContext(ctx, endRuns(len(t.ends)), args...); err != nil {
			return err
		}
	}
	return insertAll(ctx, tx, t.events)
}

func insertAll[R any](ctx context.Context, tx bun.Tx, rows []*R) error {
	for _, r := range rows {
		if err := checkRow(tx, r); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// endRuns takes a run's UUID, status, task and reason, n times.
func endRuns(n int) string {
	return "WITH d (uuid, status, task, reason) AS (VALUES " + strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?), ", n), ", ") + `)
UPDATE runs SET status = d.status, task_uuid = d.task, reason = d.reason FROM d WHERE runs.uuid = d.uuid AND +runs.status = 'due'`
}
