package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

func (s *Server) mountAudit() {
	list := operation{
		method: "GET", path: "/v1/audit", id: "listAudit", tag: "Audit", role: shield.RoleAdmin,
		summary: "List who did what, the newest first; with behind, the oldest first",
		params: []param{
			{name: "behind", about: "Only entries behind the one with this ID; 0: from the first on", typ: huma.TypeInteger},
			{name: "who", about: "Of exactly this name", typ: huma.TypeString}, after, before, limit,
		},
	}
	handle(s, list, func(ctx context.Context, c *call) ([]*shield.AuditEntry, error) {
		q := c.query
		f := shield.AuditFilter{Who: q.text("who"), After: q.time("after"), Before: q.time("before"), Limit: q.number("limit")}
		if q.text("behind") != "" {
			behind := int64(q.number("behind"))
			f.Behind = &behind
		}
		if q.err != nil {
			return nil, q.err
		}
		all, err := s.catalog.AuditLog(ctx, f)
		return nonNil(all), err
	})
}

// quiet are the operations that change nothing though they are no GETs, and
// download is the one that gives content away though it is one.
var quiet = []string{"inspectModule", "explainSchedule"}

const download = "getContent"

// audited reports whether what an operation does is for the audit log: all that
// changes something, and all that gives content away.
func (op *operation) audited() bool {
	looks := op.method == http.MethodGet || op.method == http.MethodHead || slices.Contains(quiet, op.id)
	return !looks || op.id == download
}

// witness returns a context in which what a request does is written to the
// audit log with its first change. The function tells what came of it.
func (s *Server) witness(ctx context.Context, c *call) (context.Context, func(error)) {
	if !c.op.audited() {
		return ctx, func(error) {}
	}
	d := shield.NewDeed(shield.AuditEntry{
		Who: principal(ctx).Name, From: hostOf(c.req.RemoteAddr), Action: c.op.id, Object: c.op.object(c.ref()),
	})
	if c.op.id == download { // which may never end
		s.record(ctx, d.Entry())
		d.Recorded()
	}
	return shield.WithDeed(ctx, d), func(err error) {
		if err != nil && c.op.role == "" && !errors.Is(err, shield.Unauthorized) {
			return // nobody's password was looked at, so nothing slows strangers down
		}
		e := d.Entry()
		if err != nil {
			e = d.Failed(shield.CodeOf(err))
		}
		if e != nil && e.Result != string(shield.Throttled) { // who waits does nothing
			s.record(ctx, e)
		}
	}
}

// forbidden writes to the audit log that somebody tried what the role does not
// allow. Looking is not for the log.
func (s *Server) forbidden(op *huma.Operation, req *http.Request, p shield.Principal) {
	if op.Method == http.MethodGet && op.OperationID != download {
		return
	}
	s.record(req.Context(), &shield.AuditEntry{
		Who: p.Name, From: hostOf(req.RemoteAddr), Action: op.OperationID, Object: fmt.Sprintf("%.200s", strings.TrimPrefix(req.URL.Path, "/v1/")), Result: string(shield.Forbidden),
	})
}

// record writes an entry, also for a request that is over.
func (s *Server) record(ctx context.Context, e *shield.AuditEntry) {
	if err := s.catalog.Audit(context.WithoutCancel(ctx), e); err != nil {
		s.opts.Log.Error("WHAT WAS DONE IS NOT IN THE AUDIT LOG", "who", e.Who, "from", e.From, "action", e.Action, "object", e.Object, "result", e.Result, "err", err)
	}
}

// object is what a request names: the kind in the path, and the ref.
func (op *operation) object(ref string) string {
	parts := strings.Split(op.path, "/")
	if ref == "" || len(parts) < 3 {
		return ""
	}
	return fmt.Sprintf("%s %.200s", strings.TrimSuffix(parts[2], "s"), ref)
}
