package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

type runCmd struct {
	Job runJob `cmd:"" help:"Run a job now."`
}

type runJob struct {
	refArg
	Wait bool `help:"Follow the task, and exit with 7 or 8 unless it is done."`
}

func (c *runJob) Run(e *env) error {
	t, err := e.client.RunJob(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}

type testCmd struct {
	Store  testStore  `cmd:"" help:"Store, read back and delete a small blob."`
	Target testTarget `cmd:"" help:"Ask a target whether it can be reached and used."`
	Agent  testAgent  `cmd:"" help:"Ask an agent what it is, which plugins it has, and how far its clock is off."`
}

type testAgent struct {
	refArg
	Wait bool `help:"Follow the task, and exit with 7 or 8 unless it is done."`
}

func (c *testAgent) Run(e *env) error {
	t, err := e.client.TestAgent(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}

type testStore struct {
	refArg
	Wait bool `help:"Follow the task, and exit with 7 or 8 unless it is done."`
}

func (c *testStore) Run(e *env) error {
	t, err := e.client.TestStore(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}

type testTarget struct {
	refArg
	Wait bool `help:"Follow the task, and exit with 7 or 8 unless it is done."`
}

func (c *testTarget) Run(e *env) error {
	t, err := e.client.TestTarget(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}

type probeCmd struct {
	Target probeTarget `cmd:"" help:"Print what a target holds and which software holds it. Waits for the answer."`
}

type probeTarget struct{ refArg }

func (c *probeTarget) Run(e *env) error {
	t, err := e.client.ProbeTarget(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.wait(t)
}

type storeCmd struct {
	Check checkStore `cmd:"" help:"Run the conformance suite on a store, below a prefix of its own, and print what passed. Waits for the end."`
	Test  testStore  `cmd:"" hidden:"" help:"Store, read back and delete a small blob."`
}

type checkCmd struct {
	Store checkStore `cmd:"" help:"Run the conformance suite on a store."`
}

type targetCmd struct {
	Test  testTarget  `cmd:"" help:"Ask a target whether it can be reached and used."`
	Probe probeTarget `cmd:"" help:"Print what a target holds."`
}

type checkStore struct{ refArg }

func (c *checkStore) Run(e *env) error {
	t, err := e.client.CheckStore(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.wait(t)
}

type cancelCmd struct {
	Task cancelTask `cmd:"" help:"Cancel a task."`
}

type cancelTask struct{ refArg }

func (c *cancelTask) Run(e *env) error {
	t, err := e.client.CancelTask(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(t)
	}
	if t.Status.Final() {
		_, err = fmt.Fprintf(e.out, "canceled %s task %s\n", t.Op, t.UUID)
		return err
	}
	_, err = fmt.Fprintf(e.out, "canceling %s task %s: it ends when it has cleaned up\n", t.Op, t.UUID)
	return err
}

// taskEnded is the error of a command that waited for a task which did not
// get done.
type taskEnded struct {
	status shield.TaskStatus
	code   shield.Code
	text   string
}

func (t *taskEnded) Error() string { return t.text }

// Unwrap returns the code of the task's own error.
func (t *taskEnded) Unwrap() error { return t.code }

// started prints a new task, or waits for its end.
func (e *env) started(t *shield.Task, wait bool) error {
	if wait {
		return e.wait(t)
	}
	if e.json {
		return e.printJSON(t)
	}
	_, err := fmt.Fprintf(e.out, "started %s task %s\n", t.Op, t.UUID)
	return err
}

// printLog prints the lines of a log.
func (e *env) printLog(w io.Writer, log string) error {
	for line := range strings.Lines(log) {
		if _, err := fmt.Fprintln(w, plain(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// wait follows a task: its log and progress go to standard error, what it
// came to goes to standard output.
func (e *env) wait(t *shield.Task) error {
	bar := newBar(e.err)
	end, err := e.client.Wait(e.ctx, t.UUID, func(a *server.FollowAnswer) {
		bar.clear()
		for _, line := range a.Lines {
			fmt.Fprintln(e.err, plain(line))
		}
		if !a.Task.Status.Final() {
			bar.show(a.Task)
		}
	})
	bar.clear()
	if err != nil {
		return unwatched(t, err)
	}
	return e.ended(end)
}

// ended prints what a task that was waited for came to.
func (e *env) ended(end *shield.Task) error {
	if e.json {
		end.Log = ""
		if err := e.printJSON(end); err != nil {
			return err
		}
	} else if err := e.summary(end); err != nil {
		return err
	}
	if end.Waits() {
		return &taskEnded{end.Status, end.ErrorCode, fmt.Sprintf("%s task %s %s; it is tried again at %s", end.Op, end.UUID, end.Error, moment(end.NotBefore))}
	}
	if end.Status != shield.TaskDone {
		return &taskEnded{end.Status, end.ErrorCode, fmt.Sprintf("%s task %s %s: %s", end.Op, end.UUID, end.Status, end.Error)}
	}
	return nil
}

// unwatched is the error of a wait that ended before its task.
func unwatched(t *shield.Task, err error) error {
	const hint = "see shield show task %s, and shield cancel task %s to end it"
	if errors.Is(err, shield.Canceled) {
		return shield.Errorf(shield.Canceled, "", "stopped waiting; the %s task goes on: "+hint, t.Op, t.UUID, t.UUID)
	}
	return shield.Errorf(shield.CodeOf(err), "", "%w; the %s task may go on: "+hint, err, t.Op, t.UUID, t.UUID)
}

// summary prints what a task came to, and first what it found out.
func (e *env) summary(t *shield.Task) error {
	if f := t.Findings; f != nil && t.Op != shield.OpRestore { // the log of a restore has them
		if err := e.findings(f); err != nil {
			return err
		}
	}
	if t.Waits() {
		return nil
	}
	p := t.Progress
	seconds := t.StoppedAt.Sub(t.StartedAt).Seconds()
	if t.StartedAt.IsZero() {
		seconds = 0
	}
	fmt.Fprintf(e.out, "%s task %s: %s in %.2f s\n", t.Op, t.UUID, t.Status, seconds)
	if t.Status != shield.TaskDone || p.RawBytes == 0 || p.StoredBytes == 0 {
		return nil
	}
	fmt.Fprintf(e.out, "archive %s: %s raw, %s stored (%.2f to 1)", t.Archive, size(p.RawBytes), size(p.StoredBytes),
		float64(p.RawBytes)/float64(p.StoredBytes))
	if seconds > 0 {
		fmt.Fprintf(e.out, ", %s/s", size(int64(float64(p.RawBytes)/seconds)))
	}
	fmt.Fprintln(e.out)
	return nil
}

// findings prints tables of what a task found out.
func (e *env) findings(f *shield.Findings) error {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(f.Counts)) {
		rows = append(rows, []string{name, strconv.FormatInt(f.Counts[name], 10)})
	}
	for _, name := range slices.Sorted(maps.Keys(f.Versions)) {
		rows = append(rows, []string{name, f.Versions[name]})
	}
	if len(rows) > 0 {
		if err := table(e.out, []string{"what", "is"}, rows); err != nil {
			return err
		}
	}
	if f.Reconciliation != nil {
		return e.reconciliation(f.Reconciliation)
	}
	if len(f.Preflight) > 0 {
		return preflightTable(e.out, f.Preflight)
	}
	if len(f.Checks) > 0 {
		return e.checks(f.Checks)
	}
	return nil
}

// A bar is one line of progress, on terminals only.
type bar struct {
	w     io.Writer
	on    bool
	width int
}

func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	return &bar{w: w, on: ok && term.IsTerminal(int(f.Fd()))}
}

func (b *bar) clear() {
	if b.on && b.width > 0 {
		fmt.Fprint(b.w, "\r", strings.Repeat(" ", b.width), "\r")
		b.width = 0
	}
}

func (b *bar) show(t *shield.Task) {
	if !b.on {
		return
	}
	p := t.Progress
	line := fmt.Sprintf("%s %s: %s in, %s stored, %s/s", t.Op, t.Status, size(p.RawBytes), size(p.StoredBytes), size(p.Rate))
	if p.TotalBytes > 0 {
		const cells = 24
		done := min(int(cells*p.RawBytes/p.TotalBytes), cells)
		line = fmt.Sprintf("%s [%s%s] %s of %s, %s/s", t.Op, strings.Repeat("#", done), strings.Repeat(".", cells-done),
			size(p.RawBytes), size(p.TotalBytes), size(p.Rate))
		if p.Rate > 0 {
			left := max(0, time.Duration(float64(p.TotalBytes-p.RawBytes)/float64(p.Rate)*float64(time.Second)))
			line += ", " + left.Round(time.Second).String() + " left"
		}
	}
	if screen := screenWidth(b.w); screen > 1 && len(line) >= screen {
		line = line[:screen-1] // a line that wraps could not be cleared
	}
	b.width = len(line)
	fmt.Fprint(b.w, line)
}

// size shows a number of bytes in units of 1024.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	unit := ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if v /= 1024; v < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
