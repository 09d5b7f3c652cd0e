package archive

import "sync"

// An ender ends the goroutines of a pipeline, once and with a reason.
type ender struct {
	stop chan struct{} // closed at the end
	once *sync.Once
	err  error // the reason, nil if all went well; to be read once stop is closed
	wg   sync.WaitGroup
}

func newEnder() ender { return ender{stop: make(chan struct{}), once: new(sync.Once)} }

func (e *ender) end(err error) {
	e.once.Do(func() {
		e.err = err
		close(e.stop)
	})
}

func (e *ender) ended() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// goes starts a stage of the pipeline.
func (e *ender) goes(stage func()) { e.wg.Go(stage) }

// wait waits for a stage's work on one item; false means that all is over.
func (e *ender) wait(ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	case <-e.stop:
		return false
	}
}
