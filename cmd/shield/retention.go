package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

type holdCmd struct {
	Archive holdArchive `cmd:"" help:"Keep an archive from being purged until it is released."`
}

type holdArchive struct{ refArg }

func (c *holdArchive) Run(e *env) error { return e.hold(c.Ref, true) }

type releaseCmd struct {
	Archive releaseArchive `cmd:"" help:"Let an archive that was held be purged."`
}

type releaseArchive struct{ refArg }

func (c *releaseArchive) Run(e *env) error { return e.hold(c.Ref, false) }

type acknowledgeCmd struct {
	Archive acknowledgeArchive `cmd:"" help:"Say that a suspicious archive is fine, so that its job's archives are purged again."`
}

type acknowledgeArchive struct {
	refArg
	Note string `help:"Why it is fine."`
}

func (c *acknowledgeArchive) Run(e *env) error {
	a, err := e.client.AcknowledgeArchive(e.ctx, c.Ref, c.Note)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(a)
	}
	_, err = fmt.Fprintf(e.out, "acknowledged archive %s, which %s\n", a.UUID, plain(a.Suspicion))
	return err
}

func (e *env) hold(ref string, held bool) error {
	return edit(e, e.client.Archives(), ref, patch{"held": held}, archiveView)
}

type retentionCmd struct {
	Preview previewCmd `cmd:"" help:"Show which archives a retention policy, or that of a job, keeps now, and why."`
}

type previewCmd struct {
	Ref string `arg:"" name:"policy-or-job" help:"Name or UUID of a retention policy or a job. A policy comes first."`
}

func (c *previewCmd) Run(e *env) error {
	all, err := e.client.PreviewPolicy(e.ctx, c.Ref)
	if errors.Is(err, shield.NotFound) {
		if all, err = e.client.PreviewJob(e.ctx, c.Ref); errors.Is(err, shield.NotFound) {
			return shield.Errorf(shield.NotFound, "", "neither a retention policy nor a job has the name or UUID %q", c.Ref)
		}
	}
	if err != nil {
		return err
	}
	kept := 0
	for i := range all {
		if all[i].Kept {
			kept++
		}
	}
	if err := printList(e, pointers(all), previewView, "valid archives under it"); err != nil || e.json || len(all) == 0 {
		return err
	}
	if _, err := fmt.Fprintf(e.out, "%d of %d archives are kept\n", kept, len(all)); err != nil {
		return err
	}
	return e.frozen(all)
}

// frozen says why nothing of a job is purged, if that is so, and what to do.
func (e *env) frozen(all []server.Preview) error {
	for i := range all {
		if a := all[i].Archive; a.Suspicious() {
			_, err := fmt.Fprintf(e.out, "nothing of job %s and target %s is purged: archive %s %s: see shield acknowledge archive --help, or delete it\n",
				plain(all[i].Job), plain(a.TargetName), a.UUID, plain(a.Suspicion))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func pointers[T any](s []T) []*T {
	out := make([]*T, len(s))
	for i := range s {
		out[i] = &s[i]
	}
	return out
}

var previewView = view[server.Preview]{
	kind: "archive", columns: []string{"archive", "job", "taken at", "expires at", "kept", "by"},
	row: func(p *server.Preview) []string {
		a := p.Archive
		return []string{a.UUID, p.Job, moment(a.TakenAt), moment(a.ExpiresAt), yes(p.Kept), dash(strings.Join(p.Rules, ", "))}
	},
}
