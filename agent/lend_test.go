package agent

import (
	"testing"
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
