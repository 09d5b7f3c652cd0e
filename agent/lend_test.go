package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestLent: a store stays lent as long as a request uses it, however long that
// takes, and is dropped once nobody has used it for long.
func TestLent(t *testing.T) {
	var l lending
	id := l.add(nil)
	h, done := l.use(id)
	_, also := l.use(id)
	if h == nil {
		t.Fatal("it is not lent")
	}
	l.expire(id)
	also()
	l.expire(id)
	if again, end := l.use(id); again == nil {
		t.Error("it was dropped while it was used")
	} else {
		end()
	}
	done()
	l.expire(id)
	if again, _ := l.use(id); again != nil {
		t.Error("it is lent for ever")
	}
}

// TestLentWhileAnOrderWaits: a store stays lent to a daemon that has not used it
// for hours, and not to one that has died.
func TestLentWhileAnOrderWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lending
		id := l.add(nil)
		use := func() bool {
			h, done := l.use(id)
			if h != nil {
				done()
			}
			return h != nil
		}
		ctx, die := context.WithCancel(t.Context())
		go keepLent(ctx, func(context.Context) { use() })
		time.Sleep(5 * lentFor)
		if !use() {
			t.Fatal("the store is not lent any more to an order that waits")
		}
		die()
		time.Sleep(lentFor + time.Minute)
		if use() {
			t.Error("the store is still lent to a daemon that has died")
		}
	})
}
