package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

type restoreCmd struct {
	Archive restoreArchive `cmd:"" help:"Restore an archive."`
}

type restoreArchive struct {
	Ref     string `arg:"" optional:"" help:"UUID; or none, with --target."`
	Target  string `help:"Restore the newest archive of a target." placeholder:"TARGET"`
	At      string `help:"With --target: the newest that was taken by then, as 2026-03-01T12:00:00Z, or \"2026-03-01 12:00\" here; none: now." placeholder:"TIME"`
	To      string `help:"Target to restore to; none: the one it was taken from." placeholder:"TARGET"`
	Confirm string `help:"Name of the target that is restored to, which confirms that its content is overwritten. Asked for on a terminal; a scratch target needs none." placeholder:"NAME"`
	DryRun  bool   `help:"Restore nothing: print what a restore would find, and exit with 7 if it would be refused."`
	Wait    bool   `help:"Follow the task, and exit with 7 or 8 unless it is done."`
}

// Validate refuses what says twice, or not at all, which archive is meant.
func (c *restoreArchive) Validate() error {
	switch {
	case (c.Ref == "") == (c.Target == ""):
		return errors.New("the UUID of an archive is wanted, or --target")
	case c.At != "" && c.Target == "":
		return errors.New("--at says which archive of --target is meant, which is missing")
	}
	return nil
}

func (c *restoreArchive) Run(e *env) error {
	r := server.RestoreTargetRequest{Target: c.To, Confirm: c.Confirm}
	if c.At != "" {
		var err error
		if r.At, err = parseTime("at", c.At, time.Local); err != nil {
			return err
		}
	}
	if c.DryRun {
		t, err := c.found(e, r)
		if err != nil {
			return err
		}
		return e.ended(t)
	}
	if c.Confirm == "" && !e.json && e.terminal() != nil {
		return c.ask(e, r)
	}
	t, err := c.restore(e, r)
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}

// restore asks the daemon for the restore.
func (c *restoreArchive) restore(e *env, r server.RestoreTargetRequest) (*shield.Task, error) {
	if c.Target == "" {
		return e.client.Restore(e.ctx, c.Ref, server.RestoreRequest{Target: r.Target, Confirm: r.Confirm})
	}
	t, err := e.client.RestoreTarget(e.ctx, c.Target, r)
	return e.chosen(t, err)
}

// preflight asks the daemon for the dry run of it.
func (c *restoreArchive) preflight(e *env, r server.RestoreTargetRequest) (*shield.Task, error) {
	if c.Target == "" {
		return e.client.PreflightRestore(e.ctx, c.Ref, server.RestoreRequest{Target: r.Target, Confirm: r.Confirm})
	}
	t, err := e.client.PreflightTarget(e.ctx, c.Target, r)
	return e.chosen(t, err)
}

// found is the dry run at its end. Its log says no more than its findings.
func (c *restoreArchive) found(e *env, r server.RestoreTargetRequest) (*shield.Task, error) {
	t, err := c.preflight(e, r)
	if err != nil {
		return nil, err
	}
	end, err := e.client.Wait(e.ctx, t.UUID, func(*server.FollowAnswer) {})
	if err != nil {
		return nil, unwatched(t, err)
	}
	return end, nil
}

// chosen says which archive a target has led to.
func (e *env) chosen(t *shield.Task, err error) (*shield.Task, error) {
	if err != nil || t.Expected == nil {
		return t, err
	}
	fmt.Fprintf(e.err, "archive %s of %s\n", t.Expected.UUID, t.Expected.TakenAt.UTC().Format(time.RFC3339))
	if t.Expected.Suspicious() {
		fmt.Fprintf(e.err, "SUSPICIOUS: it %s\n", plain(t.Expected.Suspicion))
	}
	return t, nil
}

// ask has whoever sits at the terminal choose an archive if they have only named
// its target, shows what a restore finds, and has them confirm it unless the
// target is a scratch target. The archive that was looked at is restored, even if
// there is a newer one by then.
func (c *restoreArchive) ask(e *env, r server.RestoreTargetRequest) error {
	in := bufio.NewReader(e.terminal())
	if c.Target != "" && c.At == "" {
		if err := c.choose(e, in); err != nil {
			return err
		}
	}
	t, err := c.found(e, r)
	if err != nil {
		return err
	}
	if t.Findings != nil {
		if err := preflightTable(e.err, t.Findings.Preflight); err != nil {
			return err
		}
	}
	if t.Status != shield.TaskDone {
		return &taskEnded{t.Status, t.ErrorCode, fmt.Sprintf("%s task %s %s: %s", t.Op, t.UUID, t.Status, t.Error)}
	}
	if !confirmed(t) {
		if r.Confirm, err = e.typed(in, t.TargetName); err != nil {
			return err
		}
	}
	t, err = e.client.Restore(e.ctx, t.Archive, server.RestoreRequest{Target: t.Target, Confirm: r.Confirm})
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}

// confirmed reports whether a preflight found that nothing is to be typed.
func confirmed(t *shield.Task) bool {
	return slices.ContainsFunc(t.Findings.Preflight, func(f shield.Finding) bool {
		return f.Check == shield.CheckConfirmation && f.State == shield.FindingOK
	})
}

// choices is how many archives there are to choose from.
const choices = 10

// choose shows the newest archives of the target and asks for one of them.
func (c *restoreArchive) choose(e *env, in *bufio.Reader) error {
	all, err := e.client.Archives().List(e.ctx, url.Values{
		"target": {c.Target}, "limit": {strconv.Itoa(choices)}, "status": {string(shield.ArchiveValid), string(shield.ArchiveExpired)},
	})
	if err != nil || len(all) < 2 {
		return err
	}
	rows := make([][]string, len(all))
	for n, a := range all {
		rows[n] = []string{strconv.Itoa(n + 1), a.UUID, moment(a.TakenAt), size(a.RawSize), archiveStatus(a), a.Notes}
	}
	if err := table(e.err, []string{"", "uuid", "taken at", "raw", "status", "notes"}, rows); err != nil {
		return err
	}
	line, err := e.prompt(in, fmt.Sprintf("which one, 1 to %d [1]: ", len(all)))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(cmp.Or(line, "1"))
	if err != nil || n < 1 || n > len(all) {
		return shield.FieldErrorf("archive", "is %.100q: a number from 1 to %d is wanted; nothing was restored", line, len(all))
	}
	c.Ref, c.Target = all[n-1].UUID, ""
	return nil
}

// typed asks for the name of a target, and returns it.
func (e *env) typed(in *bufio.Reader, target string) (string, error) {
	line, err := e.prompt(in, fmt.Sprintf("type %s to overwrite it: ", plain(target)))
	if err == nil && line != target {
		err = shield.FieldErrorf("confirm", "is %.100q, not %q: nothing was restored", line, target)
	}
	return line, err
}

// prompt asks for a line. The end of the input answers nothing.
func (e *env) prompt(in *bufio.Reader, question string) (string, error) {
	fmt.Fprint(e.err, question)
	line, err := in.ReadString('\n')
	if err == io.EOF {
		err = nil
	}
	return strings.TrimSpace(line), err
}

// preflightTable prints what was found before a restore, all of it.
func preflightTable(w io.Writer, all []shield.Finding) error {
	rows := make([][]string, 0, len(all))
	for _, f := range all {
		rows = append(rows, []string{f.Check, string(f.State), f.Text})
	}
	return fitted(w, []string{"check", "state", "found"}, rows, 0)
}
