package scheduler

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/shieldhq/shield"
)

// live is what is known of a task while it runs here. It is the runner's
// shield.Monitor.
type live struct {
	cancel context.CancelCauseFunc
	lines  logBuffer

	mu       sync.Mutex
	progress shield.Progress
	news     chan struct{} // closed at each news
}

var _ shield.Monitor = (*live)(nil)

// newLive goes on with what earlier attempts have logged.
func newLive(cancel context.CancelCauseFunc, log string) *live {
	l := &live{cancel: cancel, news: make(chan struct{})}
	l.lines.load(log)
	return l
}

// Log adds a line.
func (l *live) Log(s shield.Source, line string) {
	for part := range strings.SplitSeq(strings.TrimRight(line, "\n"), "\n") {
		l.lines.add(shield.LogLine{At: time.Now(), Source: s, Text: clip(part)}.String())
	}
	l.announce()
}

// clip bounds a line and makes it valid UTF-8.
func clip(line string) string {
	const limit = 4096
	if len(line) > limit {
		line = line[:limit] + " ... (cut)"
	}
	if !utf8.ValidString(line) {
		line = strings.ToValidUTF8(line, "\uFFFD")
	}
	return line
}

// Progress replaces the counts.
func (l *live) Progress(p shield.Progress) {
	l.mu.Lock()
	l.progress = p
	l.mu.Unlock()
	l.announce()
}

func (l *live) current() shield.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.progress
}

func (l *live) announce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.news)
	l.news = make(chan struct{})
}

// wait returns when there are lines from number after on, at other news, or
// when d has passed.
func (l *live) wait(ctx context.Context, after int, d time.Duration) {
	l.mu.Lock()
	news := l.news
	l.mu.Unlock()
	if d <= 0 || l.lines.count() > after {
		return
	}
	pause(ctx, news, d)
}

// Bounds of a task's log: so many bytes are kept of its beginning and of its
// end, what is between is cut, and said to be.
const (
	headBytes = 256 << 10
	tailBytes = 768 << 10
)

// A logBuffer is a bounded log whose lines are numbered from 0.
type logBuffer struct {
	mu        sync.Mutex
	head      []string
	headSize  int
	tail      []string
	tailSize  int
	tailStart int // number of tail[0]
	total     int
}

func (b *logBuffer) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total++
	if len(b.tail) == 0 && b.headSize+len(line) <= headBytes && b.total == len(b.head)+1 {
		b.head = append(b.head, line)
		b.headSize += len(line)
		return
	}
	if len(b.tail) == 0 {
		b.tailStart = b.total - 1
	}
	b.tail = append(b.tail, line)
	b.tailSize += len(line)
	for b.tailSize > tailBytes {
		b.tailSize -= len(b.tail[0])
		b.tail = b.tail[1:]
		b.tailStart++
	}
}

// load fills an empty buffer with a kept log.
func (b *logBuffer) load(log string) {
	if log == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.SplitSeq(log, "\n") {
		if n := cutBy(line); n > 0 {
			b.total += n
			b.tailStart = b.total
			continue
		}
		b.total++
		if b.tailStart == 0 && b.headSize+len(line) <= headBytes {
			b.head, b.headSize = append(b.head, line), b.headSize+len(line)
			continue
		}
		if b.tailStart == 0 {
			b.tailStart = b.total - 1
		}
		b.tail, b.tailSize = append(b.tail, line), b.tailSize+len(line)
	}
}

func (b *logBuffer) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// from returns the kept lines from number n on, and the number of the next.
func (b *logBuffer) from(n int) ([]string, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = max(n, 0)
	var lines []string
	if n < len(b.head) {
		lines = append(lines, b.head[n:]...)
	}
	if len(b.tail) > 0 {
		if cut := b.tailStart - len(b.head); cut > 0 && n < b.tailStart {
			lines = append(lines, cutMark(cut))
		}
		lines = append(lines, b.tail[min(max(n-b.tailStart, 0), len(b.tail)):]...)
	}
	return lines, b.total
}

func cutMark(n int) string { return fmt.Sprintf("... %d lines are cut here ...", n) }

// cutBy is how many lines a mark stands for, 0 for what is none.
func cutBy(line string) (n int) {
	if _, err := fmt.Sscanf(line, "... %d lines are cut here ...", &n); err != nil {
		return 0
	}
	return n
}

// text returns the whole log as it is kept in the catalog.
func (b *logBuffer) text() string {
	lines, _ := b.from(0)
	return strings.Join(lines, "\n")
}

// splitLog returns the lines of a kept log from number after on. A mark
// stands for the lines that were cut, so that numbers agree with those that
// the task had while it ran.
func splitLog(log string, after int) ([]string, int) {
	if log == "" {
		return nil, 0
	}
	var lines []string
	n := 0
	for line := range strings.SplitSeq(log, "\n") {
		width := 1
		if cut := cutBy(line); cut > 0 {
			width = cut
		}
		if n+width > after {
			lines = append(lines, line)
		}
		n += width
	}
	return lines, n
}
