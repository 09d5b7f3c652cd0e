package pdk

import (
	"runtime"
	"sync"
	"unsafe"
)

// What poll can wait for.
const (
	pollRead  = 1
	pollWrite = 2
	pollStat  = 4
)

// A subscription has the layout that poll wants.
type subscription struct {
	handle    int32
	want, got uint16
}

// A waiter is a goroutine that waits for a handle.
type waiter struct {
	subscription
	ready chan struct{}
}

// poller waits for all goroutines at once: a host call that blocks would
// block them all. There is one, since a guest has one thread.
var poller struct {
	sync.Mutex
	waiters map[*waiter]struct{}
	running bool
}

// idle is how long the host may hold the guest when nothing is ready. Timers
// of the guest are late by as much.
const idle = 5 // ms

// await waits until a handle is ready, or one of the channels is closed. Nil
// channels never are.
func await(h int32, want uint16, channels ...<-chan struct{}) {
	w := &waiter{subscription{handle: h, want: want}, make(chan struct{})}
	poller.Lock()
	if poller.waiters == nil {
		poller.waiters = map[*waiter]struct{}{}
	}
	poller.waiters[w] = struct{}{}
	if !poller.running {
		poller.running = true
		go runPoller()
	}
	poller.Unlock()
	channels = append(channels, nil, nil, nil)
	select {
	case <-w.ready:
	case <-channels[0]:
	case <-channels[1]:
	case <-channels[2]:
	}
	poller.Lock()
	delete(poller.waiters, w)
	poller.Unlock()
}

// runPoller ends when nobody waits any more.
func runPoller() {
	var timeout int32
	var list []*waiter
	var subs []subscription
	for {
		runtime.Gosched()
		list, subs = list[:0], subs[:0]
		poller.Lock()
		for w := range poller.waiters {
			list, subs = append(list, w), append(subs, w.subscription)
		}
		if len(list) == 0 {
			poller.running = false
			poller.Unlock()
			return
		}
		poller.Unlock()
		if hostPoll(unsafe.Pointer(unsafe.SliceData(subs)), uint32(len(subs)), timeout) > 0 {
			wakeReady(list, subs)
			timeout = 0 // others may have something to do now
		} else if timeout < idle {
			timeout++
		}
	}
}

func wakeReady(list []*waiter, subs []subscription) {
	poller.Lock()
	defer poller.Unlock()
	for n, w := range list {
		if _, waits := poller.waiters[w]; waits && subs[n].got != 0 {
			delete(poller.waiters, w)
			close(w.ready)
		}
	}
}
