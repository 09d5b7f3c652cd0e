package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/shieldhq/shield"
)

// publish puts messages back into their queues. Each is confirmed by the
// broker, and none may come back for want of its queue.
func (t *target) publish(ctx context.Context, a *archive) error {
	p := &publisher{t: t, ctx: ctx, channels: map[string]*channel{}, seen: map[[2]string]bool{}}
	defer p.close()
	err := a.each(p.add)
	if err == nil {
		err = p.confirmAll()
	}
	var known *shield.Error
	if err != nil && !errors.As(err, &known) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return damaged("rabbitmq.restore", err)
	}
	if err != nil {
		return err
	}
	t.log(fmt.Sprintf("%d messages published", p.n))
	if p.users > 0 {
		t.log(fmt.Sprintf("of %d messages the user is not restored: only that user may set it", p.users))
	}
	return nil
}

// A channel is an open one to a virtual host.
type channel struct {
	conn     *amqp.Connection
	ch       *amqp.Channel
	returned chan amqp.Return
	under    []*amqp.DeferredConfirmation
}

type publisher struct {
	t        *target
	ctx      context.Context
	channels map[string]*channel
	seen     map[[2]string]bool
	n, users int
}

// unconfirmed is how many messages may be under way.
const unconfirmed = 256

func (p *publisher) add(m *message) error {
	c, err := p.channel(m.Vhost)
	if err != nil {
		return err
	}
	if at := [2]string{m.Vhost, m.Queue}; !p.seen[at] {
		p.seen[at] = true
		if err := p.look(c, m); err != nil {
			return err
		}
	}
	msg, err := m.publishing()
	if err != nil {
		return err
	}
	if msg.UserId != "" && msg.UserId != p.t.Username {
		msg.UserId = ""
		p.users++
	}
	d, err := c.ch.PublishWithDeferredConfirmWithContext(p.ctx, "", m.Queue, true, false, msg)
	if err != nil {
		return p.t.amqpError(p.ctx, err)
	}
	p.n++
	if c.under = append(c.under, d); len(c.under) < unconfirmed {
		return nil
	}
	return p.confirm(c)
}

func (p *publisher) channel(vhost string) (*channel, error) {
	if c, ok := p.channels[vhost]; ok {
		return c, nil
	}
	conn, err := p.t.dial(p.ctx, vhost)
	if err != nil {
		return nil, err
	}
	c := &channel{conn: conn, returned: make(chan amqp.Return, unconfirmed)}
	p.channels[vhost] = c
	if c.ch, err = conn.Channel(); err != nil {
		return nil, p.t.amqpError(p.ctx, err)
	}
	c.ch.NotifyReturn(c.returned)
	return c, p.t.amqpError(p.ctx, c.ch.Confirm(false))
}

// look refuses a queue that holds messages, unless they may be added to.
func (p *publisher) look(c *channel, m *message) error {
	ch, err := c.conn.Channel() // a queue that is not there closes it
	if err != nil {
		return p.t.amqpError(p.ctx, err)
	}
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(m.Queue, false, false, false, false, nil)
	if err != nil {
		return p.t.amqpError(p.ctx, err)
	}
	if q.Messages > 0 && p.t.Existing == existingRefuse {
		return shield.Errorf(shield.Conflict, "rabbitmq.restore", `queue %q in virtual host %q holds %d messages and "existing" is %q: purge it, or choose %q`, m.Queue, m.Vhost, q.Messages, existingRefuse, existingAdd)
	}
	return nil
}

func (p *publisher) confirm(c *channel) error {
	for _, d := range c.under {
		ok, err := d.WaitContext(p.ctx)
		if err != nil {
			return p.t.amqpError(p.ctx, err)
		}
		if !ok {
			return shield.Errorf(shield.TargetFailed, "rabbitmq.restore", "the broker at %s did not take a message: its queue is full, perhaps, or the connection broke", p.t.amqp.Host)
		}
	}
	c.under = c.under[:0]
	select {
	case r, ok := <-c.returned:
		if ok {
			return shield.Errorf(shield.TargetFailed, "rabbitmq.restore", "a message for queue %q came back: %s", r.RoutingKey, r.ReplyText)
		}
		return shield.Errorf(shield.Unavailable, "rabbitmq.restore", "the connection to %s broke", p.t.amqp.Host)
	default:
		return nil
	}
}

func (p *publisher) confirmAll() error {
	for _, c := range p.channels {
		if err := p.confirm(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) close() {
	for _, c := range p.channels {
		_ = c.conn.CloseDeadline(time.Now().Add(time.Minute))
	}
}
