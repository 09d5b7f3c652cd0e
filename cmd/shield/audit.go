package main

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/shieldhq/shield"
)

type auditCmd struct {
	List   listAudit   `cmd:"" help:"List who did what, the newest first."`
	Verify verifyAudit `cmd:"" help:"Check that no entry of the audit log was changed, removed or put in."`
}

type listAudit struct {
	Who    string `help:"Only what somebody did." placeholder:"NAME"`
	After  string `help:"Only at or after a time, like 20260131 or 2026-01-31T04:00:00Z." placeholder:"TIME"`
	Before string `help:"Only before a time." placeholder:"TIME"`
	Limit  int    `help:"At most so many, the newest." default:"50"`
}

func (c *listAudit) Run(e *env) error {
	q := with(url.Values{"limit": {strconv.Itoa(c.Limit)}}, "who", c.Who)
	all, err := e.client.Audit(e.ctx, with(with(q, "after", c.After), "before", c.Before))
	if err != nil {
		return err
	}
	return printList(e, all, auditView, "entries that match")
}

var auditView = view[shield.AuditEntry]{
	kind: "entry", columns: []string{"id", "at", "who", "from", "action", "result", "object"},
	row: func(a *shield.AuditEntry) []string {
		return []string{strconv.FormatInt(a.ID, 10), moment(a.At), dash(a.Who), dash(a.From), a.Action, a.Result, a.Object}
	},
}

type verifyAudit struct {
	ID  int64  `name:"id" help:"An entry that was noted before, with --sum: the log must still have it." placeholder:"N"`
	Sum string `help:"The sum that the entry had." placeholder:"SUM"`
}

// auditPage is how many entries are asked for at once.
const auditPage = 1000

// A verified is what verify came to.
type verified struct {
	Entries int64  `json:"entries"`
	Sum     string `json:"sum"` // of the newest
}

// Run fetches the whole log and computes each sum anew. The newest entries can
// be cut off without that being seen, unless one of them was noted before.
func (c *verifyAudit) Run(e *env) error {
	if (c.ID == 0) != (c.Sum == "") {
		return shield.FieldErrorf("id", "and --sum belong together")
	}
	var last *shield.AuditEntry
	noted := c.ID == 0
	for behind := int64(0); ; behind = last.ID {
		q := url.Values{"behind": {strconv.FormatInt(behind, 10)}, "limit": {strconv.Itoa(auditPage)}}
		page, err := e.client.Audit(e.ctx, q)
		if err != nil {
			return err
		}
		for _, entry := range page {
			if err := entry.Follows(last); err != nil {
				return err
			}
			if entry.ID == c.ID && entry.Sum != c.Sum {
				return shield.Errorf(shield.Corrupt, "", "audit entry %d has the sum %s, and not the one that was noted: the log was written anew", entry.ID, entry.Sum)
			}
			noted = noted || entry.ID == c.ID
			last = entry
		}
		if len(page) == 0 {
			break
		}
	}
	if !noted {
		return shield.Errorf(shield.Corrupt, "", "audit entry %d, which was noted, is missing: the end of the log was cut off", c.ID)
	}
	return c.report(e, last)
}

func (c *verifyAudit) report(e *env, last *shield.AuditEntry) error {
	var v verified
	if last != nil {
		v = verified{last.ID, last.Sum}
	}
	if e.json {
		return e.printJSON(v)
	}
	_, err := fmt.Fprintf(e.out, "%d entries, each follows the one before; the newest has the sum %s\n", v.Entries, dash(v.Sum))
	return err
}
