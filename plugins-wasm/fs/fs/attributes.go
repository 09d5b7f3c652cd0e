package fs

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
)

// shared is what all that restores a file has in common. It is safe for
// concurrent use.
type shared struct {
	issues *issues

	mu     sync.Mutex
	counts counts
	noted  map[string]bool
	fatal  error
}

// problem notes why a file could not be restored; some reasons end it all.
func (s *shared) problem(name string, err error) {
	s.issues.add(name, "cannot be restored: %v", cause(err))
	if !isFatal(err) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal == nil {
		s.fatal = err
	}
}

// once logs a line once.
func (s *shared) once(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.noted[line] {
		s.noted[line] = true
		s.issues.log(line)
	}
}

func (s *shared) done(c *counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.files += c.files
	s.counts.folders += c.folders
	s.counts.links += c.links
	s.counts.others += c.others
	s.counts.bytes += c.bytes
}

// settable is a file whose attributes can be set.
type settable interface {
	chown(uid, gid int) error
	chmod(mode uint32) error
	setAttr(a attr) error
	setTime(t stamp) error
}

// dress gives a file its attributes. The order matters: a new owner clears
// setuid and capabilities, and all of it changes times.
func (s *shared) dress(f settable, h *header) {
	mode := h.mode
	if !s.owned(h, f.chown(h.uid, h.gid)) {
		mode &^= 0o6000 // they would speak for another owner
	}
	if h.kind != kindSymlink {
		s.report(h.name, "mode", f.chmod(mode))
	}
	for _, a := range h.attrs {
		s.attribute(h.name, a, f.setAttr(a))
	}
	s.report(h.name, "time", f.setTime(h.mtime))
}

// owned reports whether a file got its owner, by number. Only root can give
// it; for others that is noted once and no failure.
func (s *shared) owned(h *header, err error) bool {
	if errors.Is(err, fs.ErrPermission) {
		s.once("owners are not restored: only root may give files away")
		return false
	}
	s.report(h.name, "owner", err)
	return err == nil
}

// attribute is lenient only with the attributes that are not the user's own.
func (s *shared) attribute(name string, a attr, err error) {
	system := strings.HasPrefix(a.key, "security.") || strings.HasPrefix(a.key, "trusted.")
	if err != nil && system && (isLacking(err) || errors.Is(err, fs.ErrPermission)) {
		s.once("attributes like " + a.key + " are not restored: " + cause(err).Error())
		return
	}
	if err != nil {
		s.issues.add(name, "its attribute %.100q cannot be restored: %v", a.key, cause(err))
	}
}

// report notes a failure; what this system lacks altogether, once.
func (s *shared) report(name, what string, err error) {
	switch {
	case err == nil:
	case isLacking(err):
		s.once("this system cannot restore everything: " + what + ": " + cause(err).Error())
	default:
		s.issues.add(name, "its %s cannot be restored: %v", what, cause(err))
	}
}
