package scheduler

import (
	"context"
	"io"
	"sync"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

// Open returns an archive and its content, which holds the archive against
// purges until it is closed; see shield.Scheduler.
func (s *Scheduler) Open(ctx context.Context, ref string, sealed bool) (*shield.Archive, io.ReadCloser, error) {
	if s.opts.Content == nil {
		return nil, nil, shield.Errorf(shield.Unavailable, "", "this daemon cannot read archives by itself")
	}
	t := &shield.Task{UUID: uuid.NewString(), Op: shield.OpVerify}
	release, err := s.hold(ctx, t, ref)
	if err != nil {
		return nil, nil, err
	}
	err = s.opts.Reveal(t)
	var r io.ReadCloser
	if err == nil {
		r, err = s.opts.Content.Open(ctx, t, sealed)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return t.Expected, &held{ReadCloser: r, release: sync.OnceFunc(release)}, nil
}

// hold fills a task that reads an archive, which is not purged until release is
// called.
func (s *Scheduler) hold(ctx context.Context, t *shield.Task, ref string) (release func(), err error) {
	select {
	case s.purging <- struct{}{}: // no purge is being made of it
		defer func() { <-s.purging }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := s.fillVerify(ctx, t, shield.Request{Archive: ref}); err != nil {
		return nil, err
	}
	s.count(t.Archive, 1)
	return func() { s.count(t.Archive, -1) }, nil
}

// count counts those who read an archive.
func (s *Scheduler) count(archive string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers[archive] += n; s.readers[archive] == 0 {
		delete(s.readers, archive)
	}
}

// checkUnread returns Conflict for an archive that somebody reads.
func (s *Scheduler) checkUnread(archive string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.readers[archive]; n > 0 {
		return shield.Errorf(shield.Conflict, "", "archive %s is being downloaded, %d at the moment", archive, n)
	}
	return nil
}

// held is the content of an archive that is held meanwhile.
type held struct {
	io.ReadCloser
	release func()
}

func (h *held) Close() error {
	defer h.release()
	return h.ReadCloser.Close()
}
