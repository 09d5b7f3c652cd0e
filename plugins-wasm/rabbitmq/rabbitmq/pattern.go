package rabbitmq

import (
	"path"
	"strings"

	"github.com/shieldhq/shield"
)

// A pattern names queues: a virtual host and a glob.
type pattern struct{ vhost, queue string }

// parsePatterns reads "VHOST/QUEUE, ..."; "//QUEUE" is of the virtual host
// "/". The part behind the last slash is the queue.
func parsePatterns(text string) ([]pattern, error) {
	var list []pattern
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		n := strings.LastIndexByte(part, '/')
		if n < 1 || n == len(part)-1 {
			return nil, shield.FieldErrorf("endpoint.messages", `%q is no VHOST/QUEUE: one like "billing/orders" is wanted, or "//orders" for the virtual host "/"`, part)
		}
		p := pattern{part[:n], part[n+1:]}
		for _, glob := range []string{p.vhost, p.queue} {
			if _, err := path.Match(glob, ""); err != nil {
				return nil, shield.FieldErrorf("endpoint.messages", "%q is a malformed pattern", part)
			}
		}
		list = append(list, p)
	}
	return list, nil
}

func (p pattern) matches(vhost, queue string) bool {
	v, _ := path.Match(p.vhost, vhost) // was checked
	q, _ := path.Match(p.queue, queue)
	return (v || p.vhost == vhost) && (q || p.queue == queue)
}

// wanted reports whether a queue's messages are to be kept.
func (c *config) wanted(vhost, queue string) bool {
	for _, p := range c.queues {
		if p.matches(vhost, queue) {
			return true
		}
	}
	return false
}
