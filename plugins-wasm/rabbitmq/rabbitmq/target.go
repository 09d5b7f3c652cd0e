package rabbitmq

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// target is one broker.
type target struct {
	config
	client *http.Client
	log    plugin.Log
}

var (
	_ plugin.Target    = (*target)(nil)
	_ plugin.Validator = (*target)(nil)
	_ plugin.Tester    = (*target)(nil)
	_ plugin.Prober    = (*target)(nil)
	_ plugin.Inspector = (*target)(nil)
)

// Validate has nothing to add: opening has looked.
func (t *target) Validate(context.Context) error { return nil }

// Test asks the API who we are, and AMQP for a connection if it is wanted.
func (t *target) Test(ctx context.Context) error {
	if _, err := t.overview(ctx); err != nil {
		return err
	}
	var who struct {
		Tags any `json:"tags"`
	}
	if err := t.get(ctx, "/api/whoami", &who); err != nil {
		return err
	}
	if !strings.Contains(fmt.Sprint(who.Tags), "administrator") {
		return shield.Errorf(shield.Forbidden, "rabbitmq.test", "user %s has not the tag administrator: rabbitmqctl set_user_tags %s administrator", t.Username, t.Username)
	}
	if len(t.queues) == 0 {
		return nil
	}
	list, err := t.chosen(ctx)
	if err != nil {
		return err
	}
	for _, vhost := range vhosts(list) {
		c, err := t.dial(ctx, vhost)
		if err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return t.amqpError(ctx, err)
		}
	}
	return nil
}

// Probe counts what the broker has.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	o, err := t.overview(ctx)
	if err != nil {
		return plugin.Probe{}, err
	}
	d, _, err := t.export(ctx)
	if err != nil {
		return plugin.Probe{}, err
	}
	p := plugin.Probe{Counts: d.counts(), Versions: map[string]string{"server": "RabbitMQ " + o.Version}}
	p.Counts["messages"] = o.Queued.Messages
	return p, nil
}

// export reads the definitions: whole, so that they can be looked at before
// they become an archive.
func (t *target) export(ctx context.Context) (*definitions, []byte, error) {
	var text rawJSON
	if err := t.get(ctx, t.definitionsPath(), &text); err != nil {
		return nil, nil, err
	}
	d, err := parseDefinitions(text)
	if err != nil {
		return nil, nil, shield.Errorf(shield.TargetFailed, "rabbitmq", "%s: %w", t.base.Host, err)
	}
	if t.Vhost == "" && (len(d.lists["users"]) == 0 || len(d.lists["vhosts"]) == 0) {
		return nil, nil, shield.Errorf(shield.TargetFailed, "rabbitmq", "%s exports definitions without users or virtual hosts, and every broker has some", t.base.Host)
	}
	return d, text, nil
}

// rawJSON keeps a decoded value as it was.
type rawJSON []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawJSON) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// Names within an archive with messages.
const (
	definitionsName = "definitions.json"
	messagesPrefix  = "messages/"
	endName         = "end.json" // {"messages": N}, without which a stream is cut
)

// Backup writes the definitions, alone or in a tar stream with messages.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	d, text, err := t.export(ctx)
	if err != nil {
		return err
	}
	t.log(fmt.Sprintf("definitions of RabbitMQ %s: %d queues, %d exchanges, %d bindings, %d users",
		d.version, len(d.lists["queues"]), len(d.lists["exchanges"]), len(d.lists["bindings"]), len(d.lists["users"])))
	if len(t.queues) == 0 {
		_, err := w.Write(text)
		return err
	}
	a := tar.NewWriter(w)
	if err := member(a, definitionsName, text); err != nil {
		return err
	}
	if err := t.backupMessages(ctx, a); err != nil {
		return err
	}
	return a.Close()
}

func member(a *tar.Writer, name string, content []byte) error {
	if err := a.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := a.Write(content)
	return err
}

// An archive is a stream that is read: definitions, then messages.
type archive struct {
	definitions *definitions
	text        []byte
	r           *tar.Reader // nil if there are no messages
	in          *bufio.Reader
}

// openArchive reads up to the messages.
func openArchive(r io.Reader) (*archive, error) {
	a := &archive{in: bufio.NewReaderSize(r, 64<<10)}
	head, err := a.in.Peek(1)
	if err != nil {
		return nil, unexpected(err)
	}
	var from io.Reader = a.in
	if !isExport(head) {
		a.r = tar.NewReader(a.in)
		h, err := a.r.Next()
		if err != nil {
			return nil, unexpected(err)
		}
		if h.Name != definitionsName {
			return nil, fmt.Errorf("the stream begins with %q, not with %s", h.Name, definitionsName)
		}
		from = a.r
	}
	if a.text, err = io.ReadAll(io.LimitReader(from, answerLimit+1)); err != nil {
		return nil, unexpected(err)
	}
	if len(a.text) > answerLimit {
		return nil, errors.New("the definitions are too large")
	}
	a.definitions, err = parseDefinitions(a.text)
	return a, err
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// each calls yield with each message, to the end of the stream.
func (a *archive) each(yield func(*message) error) error {
	if a.r == nil {
		return nil
	}
	n := int64(0)
	count := func(m *message) error { n++; return yield(m) }
	for {
		h, err := a.r.Next()
		if err != nil {
			return unexpected(err)
		}
		if h.Name == endName {
			return a.end(n)
		}
		if !strings.HasPrefix(h.Name, messagesPrefix) {
			return fmt.Errorf("%q is no part of an archive", h.Name)
		}
		if err := eachLine(a.r, count); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// end compares the number of messages and reads what may follow: zeros.
func (a *archive) end(n int64) error {
	var end struct {
		Messages int64 `json:"messages"`
	}
	if err := json.NewDecoder(a.r).Decode(&end); err != nil {
		return unexpected(err)
	}
	if end.Messages != n {
		return fmt.Errorf("it has %d messages, but %d were written", n, end.Messages)
	}
	if _, err := a.r.Next(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("there is something behind the end of the stream"), err)
	}
	rest, err := io.ReadAll(io.LimitReader(a.in, 64<<10))
	if err == nil && slices.ContainsFunc(rest, func(b byte) bool { return b != 0 }) {
		err = errors.New("there is something behind the end of the stream")
	}
	return err
}

// Inspect reads an archive.
func (t *target) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	in := &stream.Reader{Ctx: ctx, R: r}
	a, err := openArchive(in)
	var p plugin.Probe
	if err == nil {
		p.Counts, p.Versions = a.definitions.counts(), map[string]string{"server": "RabbitMQ " + a.definitions.version}
		err = a.each(func(*message) error { p.Counts["messages"]++; return nil })
	}
	if in.Err != nil {
		return p, in.Err
	}
	if err != nil {
		return p, damaged("rabbitmq.inspect", err)
	}
	return p, nil
}

func damaged(op string, err error) error {
	return shield.Errorf(shield.Corrupt, op, "the stream is not a whole archive of RabbitMQ: %w", err)
}

// Restore imports the definitions, compares what is there then, and publishes
// the messages.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	in := &stream.Reader{Ctx: ctx, R: r}
	a, err := openArchive(in)
	if in.Err != nil {
		return in.Err
	}
	if err != nil {
		return damaged("rabbitmq.restore", err)
	}
	if a.r != nil && t.amqp == nil {
		return shield.FieldErrorf("endpoint.amqp_url", "is missing: the archive has messages, which are restored over AMQP; name messages and amqp_url")
	}
	o, err := t.overview(ctx)
	if err != nil {
		return err
	}
	if err := checkVersion(a.definitions.version, o.Version); err != nil {
		return err
	}
	if err := t.importDefinitions(ctx, a); err != nil {
		return err
	}
	if a.r == nil {
		return nil
	}
	err = t.publish(ctx, a)
	if in.Err != nil {
		return in.Err
	}
	return err
}

func (t *target) importDefinitions(ctx context.Context, a *archive) error {
	x, err := t.call(ctx, http.MethodPost, t.definitionsPath(), bytes.NewReader(a.text), int64(len(a.text)))
	if err != nil {
		return err
	}
	_ = x.Body.Close()
	now, _, err := t.export(ctx)
	if err != nil {
		return err
	}
	if missing := a.definitions.missing(now); len(missing) > 0 {
		return shield.Errorf(shield.TargetFailed, "rabbitmq.restore", "the broker took the definitions, but lacks %d of them: %s", len(missing), strings.Join(missing[:min(len(missing), 5)], "; "))
	}
	t.log(fmt.Sprintf("definitions of RabbitMQ %s imported: %d queues, %d exchanges, %d bindings", a.definitions.version,
		len(a.definitions.lists["queues"]), len(a.definitions.lists["exchanges"]), len(a.definitions.lists["bindings"])))
	return nil
}
