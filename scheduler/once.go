package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

// onceSpace is the name space of the UUIDs of tasks that are asked for once.
var onceSpace = uuid.MustParse("5d7ac9ab-1f0e-4c2a-9d53-7f1f7c1a6b0e")

// onceID is the UUID of the task of a request with a key. That there is one task
// with it follows from UUIDs being unique in the catalog.
func onceID(r shield.Request) string {
	return uuid.NewSHA1(onceSpace, []byte(r.Owner+"\x00"+r.Key)).String()
}

// once submits a request with a key: the task that it has got already, if there
// is one.
func (s *Scheduler) once(ctx context.Context, r shield.Request) (*shield.Task, error) {
	t, err := s.taskFor(ctx, r)
	if err != nil {
		return nil, err
	}
	t.UUID = onceID(r)
	have, err := s.catalog.Task(ctx, t.UUID)
	if errors.Is(err, shield.NotFound) {
		err = s.catalog.CreateTask(ctx, t)
		if err == nil {
			signal(s.wake)
			return t, nil
		}
		if errors.Is(err, shield.Conflict) { // at the same moment
			have, err = s.catalog.Task(ctx, t.UUID)
		}
	}
	if err != nil {
		return nil, err
	}
	if !sameRequest(have, t) {
		return nil, &shield.Error{Code: shield.Conflict, Field: "Idempotency-Key", Message: fmt.Sprintf(
			"was used at %s for another request, which is task %s: a new key is wanted for each", have.RequestedAt.UTC().Format(time.RFC3339), have.UUID)}
	}
	return have, nil
}

// sameRequest reports whether two tasks were made of the same request. The
// archive of a backup is a new one each time.
func sameRequest(a, b *shield.Task) bool {
	return a.Op == b.Op && a.Job == b.Job && a.Target == b.Target && (a.Op == shield.OpBackup || a.Archive == b.Archive)
}
