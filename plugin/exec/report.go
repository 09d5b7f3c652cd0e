package exec

import (
	"io"
	"os"

	"github.com/shieldhq/shield/plugin"
)

// reports are what a call tells its host beside its streams. A nil one has
// none.
type reports struct {
	pipe *os.File // the reading end
	done chan struct{}
}

// prepareReports returns the end that the plugin writes to.
func (p *process) prepareReports() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.reports = &reports{pipe: r, done: make(chan struct{})}
	p.children = append(p.children, w)
	return w, nil
}

// run reads what comes until the end, which close brings about at the latest.
func (r *reports) run(a plugin.Action, take func(plugin.Action, io.Reader)) {
	if r == nil {
		return
	}
	go func() {
		defer close(r.done)
		take(a, r.pipe)
		_, _ = io.Copy(io.Discard, r.pipe)
	}()
}

func (r *reports) over() <-chan struct{} {
	if r == nil {
		return closed
	}
	return r.done
}

func (r *reports) close() {
	if r != nil {
		_ = r.pipe.Close()
		<-r.done
	}
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
