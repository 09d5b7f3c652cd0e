package agent

import (
	"context"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
)

// keptLines bounds the lines of a task that the daemon has not read yet: the
// oldest are dropped, and that is said.
const keptLines = 2000

// A held task runs, or has ended and the daemon does not know yet. It is the
// monitor of its runner.
type held struct {
	Held
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	lines    []Message // the newest; the number of the first is in it
	next     int       // number of the next line
	progress shield.Progress
	result   *Result
	news     chan struct{} // closed at each news
}

var _ shield.Monitor = (*held)(nil)

func newHeld(h Held) *held { return &held{Held: h, cancel: func(error) {}, news: make(chan struct{})} }

// Log keeps a line.
func (h *held) Log(source shield.Source, text string) {
	const limit = 16 << 10
	if len(text) > limit {
		text = text[:limit] + " ... (cut)"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	h.lines = append(h.lines, Message{N: h.next, Source: source, Text: text})
	if len(h.lines) > keptLines {
		h.lines = h.lines[len(h.lines)-keptLines:]
	}
	h.announce()
}

// Progress replaces the counts.
func (h *held) Progress(p shield.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.progress = p
	h.announce()
}

func (h *held) announce() {
	close(h.news)
	h.news = make(chan struct{})
}

func (h *held) end(r *Result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.result, h.Ended = r, true
	h.announce()
}

func (h *held) about() Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Held
}

// since returns what is new after a line, and what is closed at the next news.
func (h *held) since(after int, last shield.Progress) (all []Message, progress shield.Progress, news <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.lines {
		if m.N > after {
			all = append(all, m)
		}
	}
	if h.progress != last {
		p := h.progress
		all = append(all, Message{Progress: &p})
	}
	if h.result != nil {
		all = append(all, Message{Result: h.result})
	}
	return all, h.progress, h.news
}

// resultOf is what a runner returned, as it is kept and sent.
func resultOf(r shield.TaskResult, err error) *Result {
	return &Result{Result: r, Error: storewire.FailureOf(err)}
}

// died is the result of a task whose agent was killed.
func died(h *Held) *Result {
	r := shield.TaskResult{}
	if h.Key != "" {
		r.Leftovers = []string{h.Key}
	}
	return resultOf(r, shield.Errorf(shield.Interrupted, "", "interrupted: the agent died while it ran this task"))
}
