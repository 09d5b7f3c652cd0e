package faultproxy

import (
	"net/http"
	"sync"
)

// A Rule makes a fault happen to the requests, or connections, that it means.
type Rule struct {
	// Match says which requests are meant; nil is all. It may look at
	// everything but the body.
	Match func(*http.Request) bool
	Skip  int // how many that match pass unharmed first
	Times int // how many are hit after those; 0 is all
	Fault Fault
}

// rules are tried in order; the first that fires is used.
type rules struct {
	mu   sync.Mutex
	list []*Rule
	hits int
}

// Set replaces the rules and forgets what earlier ones have counted.
func (r *rules) Set(list ...Rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list, r.hits = nil, 0
	for _, rule := range list {
		r.list = append(r.list, &rule)
	}
}

// Hits says how many faults have happened since Set. A test that expects a
// failure checks that its fault was the reason.
func (r *rules) Hits() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hits
}

func (r *rules) pick(q *http.Request) *Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range r.list {
		switch {
		case rule.Match != nil && !rule.Match(q):
		case rule.Skip > 0:
			rule.Skip--
		case rule.Times < 0: // used up
		default:
			if rule.Times == 1 {
				rule.Times = -1
			} else if rule.Times > 1 {
				rule.Times--
			}
			r.hits++
			fault := rule.Fault
			return &fault
		}
	}
	return nil
}

// Method matches requests by their method, or one of several.
func Method(methods ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		for _, m := range methods {
			if r.Method == m {
				return true
			}
		}
		return false
	}
}
