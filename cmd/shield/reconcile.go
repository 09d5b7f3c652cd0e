package main

import (
	"fmt"

	"github.com/shieldhq/shield"
)

type reconcileCmd struct {
	Store reconcileStore `cmd:"" help:"List what a store has and the catalog does not know, and the other way round. Waits for the end."`
}

type reconcileStore struct {
	refArg
	Remove bool `help:"Remove orphans that are older than a day."`
}

func (c *reconcileStore) Run(e *env) error {
	t, err := e.client.ReconcileStore(e.ctx, c.Ref, c.Remove)
	if err != nil {
		return err
	}
	return e.wait(t)
}

// reconciliation prints a table of differences and what they come to.
func (e *env) reconciliation(r *shield.Reconciliation) error {
	var rows [][]string
	for i := range r.Differences {
		d := &r.Differences[i]
		rows = append(rows, []string{string(d.Kind), d.Key, size(d.Size), d.Text})
	}
	if len(rows) > 0 {
		if err := table(e.out, []string{"what", "key", "size", "it"}, rows); err != nil {
			return err
		}
	}
	var more int64
	for _, k := range shield.DifferenceKinds() {
		more += max(0, r.Counts[k]-shield.MaxDifferences)
	}
	if more > 0 {
		fmt.Fprintf(e.out, "%d more are not listed here: the log of the task has those that matter\n", more)
	}
	_, err := fmt.Fprintln(e.out, reconciled(r))
	return err
}

// reconciled is a reconciliation in a line.
func reconciled(r *shield.Reconciliation) string {
	text := fmt.Sprintf("%s of %s listed, %s expected", count(int(r.Blobs), "blob"), size(r.Bytes), count(int(r.Archives), "valid archive"))
	for _, k := range shield.DifferenceKinds() {
		if r.Counts[k] > 0 {
			text += fmt.Sprintf(", %d %s", r.Counts[k], k)
		}
	}
	if r.Removing > 0 {
		text += fmt.Sprintf(" (%d being removed)", r.Removing)
	}
	return text
}
