package rabbitmq

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
)

// A queue is what the API tells of one.
type queue struct {
	Name      string         `json:"name"`
	Vhost     string         `json:"vhost"`
	Type      string         `json:"type"`
	Exclusive bool           `json:"exclusive"`
	Arguments map[string]any `json:"arguments"`
	Effective map[string]any `json:"effective_policy_definition"`
}

// chosen returns the queues whose messages are wanted, by name. A pattern
// that fits none is an error: it would be found missing when it is too late.
func (t *target) chosen(ctx context.Context) ([]queue, error) {
	path := "/api/queues"
	if t.Vhost != "" {
		path += "/" + url.PathEscape(t.Vhost)
	}
	var all []queue
	if err := t.get(ctx, path, &all); err != nil {
		return nil, err
	}
	used := map[pattern]bool{}
	var list []queue
	for _, q := range all {
		if q.Exclusive || !t.wanted(q.Vhost, q.Name) {
			continue
		}
		for _, p := range t.queues {
			used[p] = used[p] || p.matches(q.Vhost, q.Name)
		}
		if err := keepable(&q); err != nil {
			return nil, err
		}
		list = append(list, q)
	}
	for _, p := range t.queues {
		if !used[p] {
			return nil, shield.Errorf(shield.NotFound, "rabbitmq", "messages: no queue fits %q in virtual host %q", p.queue, p.vhost)
		}
	}
	slices.SortFunc(list, func(a, b queue) int { return strings.Compare(a.Vhost+"/"+a.Name, b.Vhost+"/"+b.Name) })
	return list, nil
}

// keepable refuses queues whose messages cannot be looked at without harm: a
// stream has no messages to be taken and given back, and a queue with a
// delivery limit counts each time that they are, and drops what was given back
// too often.
func keepable(q *queue) error {
	bad := func(why string) error {
		return shield.Errorf(shield.Invalid, "rabbitmq", "messages: queue %q in virtual host %q %s: leave it out", q.Name, q.Vhost, why)
	}
	if q.Type == "stream" {
		return bad("is a stream, whose messages are not kept")
	}
	if q.Type != "quorum" {
		return nil
	}
	for _, m := range []map[string]any{q.Arguments, q.Effective} {
		for _, k := range []string{"x-delivery-limit", "delivery-limit"} {
			if v, ok := m[k]; ok && fmt.Sprint(v) != "-1" {
				return bad("has a delivery limit, and each backup counts as a delivery")
			}
		}
	}
	return nil
}

// unlimited reports whether quorum queues of the broker have no delivery limit
// unless they are given one: from 4.0 on it is 20.
func unlimited(version string) bool { return older(version, "4") }

func vhosts(list []queue) []string {
	var names []string
	for _, q := range list {
		if !slices.Contains(names, q.Vhost) {
			names = append(names, q.Vhost)
		}
	}
	return names
}

// dial connects to a virtual host.
func (t *target) dial(ctx context.Context, vhost string) (*amqp.Connection, error) {
	port := t.amqp.Port()
	if port == "" {
		port = map[string]string{"amqp": "5672", "amqps": "5671"}[t.amqp.Scheme]
	}
	addr := net.JoinHostPort(t.amqp.Hostname(), port)
	dial := func(network, _ string) (net.Conn, error) {
		if t.amqp.Scheme == "amqps" {
			return pdk.DialTLS(ctx, network, addr, t.tls())
		}
		return pdk.Dial(ctx, network, addr)
	}
	// TLS is the dialer's: the library is told of the plain protocol.
	c, err := amqp.DialConfig("amqp://"+addr, amqp.Config{
		SASL: []amqp.Authentication{&amqp.PlainAuth{Username: t.Username, Password: t.Password}}, Vhost: vhost,
		Heartbeat: 30 * time.Second, Locale: "en_US", Dial: dial,
		Properties: amqp.Table{"product": "shield", "connection_name": "shield"},
	})
	if err != nil {
		return nil, t.amqpError(ctx, err)
	}
	context.AfterFunc(ctx, func() { _ = c.CloseDeadline(time.Now()) })
	return c, nil
}

// amqpError turns an error of AMQP into one of shield's.
func (t *target) amqpError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := shield.TargetFailed
	var a *amqp.Error
	var n net.Error
	switch {
	case errors.As(err, &a) && a.Code == amqp.AccessRefused:
		code = shield.Forbidden
		if strings.Contains(a.Reason, "username") {
			code = shield.Unauthorized
		}
	case errors.As(err, &a) && (a.Code == amqp.ConnectionForced || a.Code == amqp.ChannelError || a.Code == amqp.FrameError), errors.As(err, &n):
		code = shield.Unavailable
	case errors.As(err, &a) && a.Code == amqp.NotFound:
		code = shield.NotFound
	}
	return shield.Errorf(code, "rabbitmq", "AMQP at %s: %w", t.amqp.Host, err)
}

// partSize is about how large a part of an archive becomes.
const partSize = 1 << 20

// A parter writes messages as parts of a tar stream, whose sizes have to be
// known before.
type parter struct {
	a *tar.Writer
	b bytes.Buffer
	n int // parts
	// messages counts those that were added.
	messages int64
}

func (p *parter) add(m *message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	p.messages++
	p.b.Write(line)
	p.b.WriteByte('\n')
	if p.b.Len() < partSize {
		return nil
	}
	return p.flush()
}

func (p *parter) flush() error {
	if p.b.Len() == 0 {
		return nil
	}
	p.n++
	err := member(p.a, fmt.Sprintf("%s%08d.jsonl", messagesPrefix, p.n), p.b.Bytes())
	p.b.Reset()
	return err
}

// backupMessages takes all messages of the chosen queues and gives them back.
func (t *target) backupMessages(ctx context.Context, a *tar.Writer) error {
	list, err := t.chosen(ctx)
	if err != nil {
		return err
	}
	o, err := t.overview(ctx)
	if err != nil {
		return err
	}
	for _, q := range list {
		_, told := q.Arguments["x-delivery-limit"]
		_, ruled := q.Effective["delivery-limit"]
		if q.Type == "quorum" && !told && !ruled && !unlimited(o.Version) {
			return shield.Errorf(shield.Invalid, "rabbitmq", "messages: queue %q in virtual host %q has RabbitMQ's own delivery limit, and each backup counts as a delivery: leave it out, or give it the delivery limit -1", q.Name, q.Vhost)
		}
	}
	p := &parter{a: a}
	for _, vhost := range vhosts(list) {
		if err := t.backupVhost(ctx, vhost, list, p); err != nil {
			return err
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	return member(a, endName, fmt.Appendf(nil, "{\"messages\": %d}\n", p.messages))
}

func (t *target) backupVhost(ctx context.Context, vhost string, list []queue, p *parter) error {
	c, err := t.dial(ctx, vhost)
	if err != nil {
		return err
	}
	defer c.CloseDeadline(time.Now().Add(time.Minute))
	for _, q := range list {
		if q.Vhost != vhost {
			continue
		}
		n, err := t.takeAll(ctx, c, &q, p)
		if err != nil {
			return err
		}
		t.log(fmt.Sprintf("queue %q in virtual host %q: %d messages", q.Name, vhost, n))
	}
	return nil
}

// takeAll takes messages without acknowledging them. Closing the channel gives
// them back to the queue, at their old places; so does a connection that
// breaks. It ends with what was there when it began.
func (t *target) takeAll(ctx context.Context, c *amqp.Connection, q *queue, p *parter) (n int, err error) {
	ch, err := c.Channel()
	if err != nil {
		return 0, t.amqpError(ctx, err)
	}
	defer func() {
		if e := ch.Close(); err == nil && e != nil {
			err = t.amqpError(ctx, fmt.Errorf("giving the messages back: %w", e))
		}
	}()
	for left := 1; left > 0; left-- {
		d, ok, err := ch.Get(q.Name, false)
		if err != nil {
			return n, t.amqpError(ctx, fmt.Errorf("queue %q: %w", q.Name, err))
		}
		if !ok {
			break
		}
		if n == 0 {
			left = int(d.MessageCount) + 1
		}
		m, err := messageOf(q.Vhost, q.Name, &d)
		if err != nil {
			return n, shield.Errorf(shield.TargetFailed, "rabbitmq", "a message of queue %q: %w", q.Name, err)
		}
		if err := p.add(m); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
