package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

func (s *Server) mountTasks() {
	op := func(method, path, id, summary string, role shield.Role) operation {
		return operation{method: method, path: "/v1/tasks" + path, id: id, tag: "Tasks", summary: summary, role: role}
	}
	list := op("GET", "", "listTasks", "List tasks without their logs, the newest first", shield.RoleViewer)
	list.params = []param{byTarget, byStore, byJob, byOp, after, before, byTaskStatus}
	list.params = append(list.params, taskPager.params()...)
	list.fails = []shield.Code{shield.NotFound}
	handle(s, list, s.listTasks)
	handle(s, op("GET", "/{ref}", "getTask", "Show a task with its log", shield.RoleViewer), s.getTask)
	follow := op("GET", "/{ref}/follow", "followTask", "Wait for news of a task", shield.RoleViewer)
	follow.params = []param{
		{name: "after", about: "Number of the first line of the log that is wanted", typ: huma.TypeInteger},
		{name: "wait", about: "Seconds to wait while nothing is new, at most 30", typ: huma.TypeInteger},
	}
	handle(s, follow, s.followTask)
	cancel := op("POST", "/{ref}/cancel", "cancelTask", "Cancel a task", shield.RoleOperator)
	cancel.status, cancel.fails = http.StatusAccepted, []shield.Code{shield.Conflict}
	handle(s, cancel, s.cancelTask)
}

// shown makes a task fit for clients.
func (s *Server) shown(t *shield.Task) *shield.Task {
	t.TargetEndpoint, t.StoreEndpoint = s.vault.Redact(t.TargetEndpoint), s.vault.Redact(t.StoreEndpoint)
	return t
}

func (s *Server) listTasks(ctx context.Context, c *call) ([]*shield.Task, error) {
	all, err := paged(ctx, c, taskPager, s.catalog.Tasks)
	for _, t := range all {
		s.shown(t)
	}
	return all, err
}

func (s *Server) getTask(ctx context.Context, c *call) (*shield.Task, error) {
	t, lines, _, err := s.scheduler.Follow(ctx, c.ref(), 0, 0)
	if err != nil {
		return nil, err
	}
	t.Log = strings.Join(lines, "\n") // newer than what the catalog has
	return s.shown(t), nil
}

// FollowAnswer is a task with the log lines that came since the last look.
type FollowAnswer struct {
	Task  *shield.Task `json:"task"`
	Lines []string     `json:"lines"`
	Next  int          `json:"next"` // present as after in the next call
}

func (s *Server) followTask(ctx context.Context, c *call) (*FollowAnswer, error) {
	after, wait := c.query.number("after"), min(c.query.number("wait"), 30)
	if c.query.err != nil {
		return nil, c.query.err
	}
	t, lines, next, err := s.scheduler.Follow(ctx, c.ref(), after, time.Duration(wait)*time.Second)
	if err != nil {
		return nil, err
	}
	t.Log = ""
	return &FollowAnswer{Task: s.shown(t), Lines: nonNil(lines), Next: next}, nil
}

func (s *Server) cancelTask(ctx context.Context, c *call) (*shield.Task, error) {
	if err := s.scheduler.Cancel(ctx, c.ref()); err != nil {
		return nil, err
	}
	t, err := s.catalog.Task(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	return s.shown(t), nil
}
