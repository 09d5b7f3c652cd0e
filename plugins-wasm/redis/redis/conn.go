package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/redis/rdb"
)

// A conn speaks RESP 2, the protocol of https://redis.io/docs/latest/develop/
// reference/protocol-spec/. A client library would not do: taking part in
// replication needs the bare connection.
type conn struct {
	net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	stop func() bool
}

// A refusal is an error that the server answered with.
type refusal string

func (r refusal) Error() string { return "the server says " + strconv.Quote(string(r)) }

// kind is the first word, by which Redis tells errors apart.
func (r refusal) kind() string {
	kind, _, _ := strings.Cut(string(r), " ")
	return kind
}

// connect connects and authenticates.
func (c *config) connect(ctx context.Context) (*conn, error) {
	var n net.Conn
	var err error
	if c.TLS == tlsOff {
		n, err = pdk.Dial(ctx, "tcp", c.addr())
	} else {
		n, err = pdk.DialTLS(ctx, "tcp", c.addr(), c.tlsConfig())
	}
	if ctx.Err() != nil {
		if err == nil {
			_ = n.Close()
		}
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, shield.Errorf(shield.Unavailable, "redis", "%s cannot be reached: %w", c.addr(), err)
	}
	out := &conn{Conn: n, r: bufio.NewReaderSize(n, 64<<10), w: bufio.NewWriterSize(n, 64<<10)}
	out.stop = context.AfterFunc(ctx, func() { _ = n.Close() })
	if err := out.login(c); err != nil {
		out.close()
		return nil, c.classify(ctx, err)
	}
	return out, nil
}

func (c *conn) close() {
	c.stop()
	_ = c.Close()
}

func (c *conn) login(o *config) error {
	switch {
	case o.Username != "":
		_, err := c.text("AUTH", o.Username, o.Password)
		return err
	case o.Password != "":
		_, err := c.text("AUTH", o.Password)
		return err
	}
	_, err := c.text("PING")
	return err
}

// send writes a command into the buffer.
func (c *conn) send(args ...string) error {
	fmt.Fprintf(c.w, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(c.w, "$%d\r\n", len(a))
		_, _ = c.w.WriteString(a)
		_, _ = c.w.WriteString("\r\n")
	}
	return c.err()
}

// restore sends RESTORE for one key. The value is not copied: it may be large.
func (c *conn) restore(it *rdb.Item, version int, options []string) error {
	footer := rdb.Footer(it, version)
	fmt.Fprintf(c.w, "*%d\r\n$7\r\nRESTORE\r\n$%d\r\n%s\r\n", 4+len(options), len(it.Key), it.Key)
	ttl := strconv.FormatInt(it.Expire, 10)
	fmt.Fprintf(c.w, "$%d\r\n%s\r\n$%d\r\n", len(ttl), ttl, 1+len(it.Value)+len(footer))
	_ = c.w.WriteByte(it.Type)
	_, _ = c.w.Write(it.Value)
	_, _ = c.w.Write(footer[:])
	_, _ = c.w.WriteString("\r\n")
	for _, o := range options {
		fmt.Fprintf(c.w, "$%d\r\n%s\r\n", len(o), o)
	}
	return c.err()
}

// err is the first error that writing had.
func (c *conn) err() error {
	_, err := c.w.Write(nil)
	return err
}

// line reads a line. Empty ones, which a server sends to show that it is
// alive, are passed over.
func (c *conn) line() (string, error) {
	for {
		b, err := c.r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
		if s := strings.TrimRight(string(b), "\r\n"); s != "" {
			return s, nil
		}
	}
}

// replyLimit bounds an answer: those to our own commands are short.
const replyLimit = 16 << 20

// reply reads an answer: a string, an int64, a []any, nil, or a refusal as
// the error.
func (c *conn) reply() (any, error) {
	s, err := c.line()
	if err != nil {
		return nil, err
	}
	switch s[0] {
	case '+':
		return s[1:], nil
	case '-':
		return nil, refusal(s[1:])
	case ':':
		return strconv.ParseInt(s[1:], 10, 64)
	}
	n, err := strconv.Atoi(s[1:])
	if err != nil || n > replyLimit || (s[0] != '$' && s[0] != '*') {
		return nil, fmt.Errorf("%q is no answer of a Redis server", cut(s))
	}
	if n < 0 {
		return nil, nil
	}
	if s[0] == '$' {
		p := make([]byte, n+2)
		_, err := io.ReadFull(c.r, p)
		return string(p[:n]), err
	}
	var list []any
	for range n {
		v, err := c.reply()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func cut(s string) string {
	const limit = 100
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// do runs a command.
func (c *conn) do(args ...string) (any, error) {
	if err := errors.Join(c.send(args...), c.w.Flush()); err != nil {
		return nil, err
	}
	return c.reply()
}

// text runs a command that answers with a text.
func (c *conn) text(args ...string) (string, error) {
	v, err := c.do(args...)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s: the answer is no text", args[0])
	}
	return s, nil
}

// info returns a section of what the server tells of itself.
func (c *conn) info(section string) (map[string]string, error) {
	text, err := c.text("INFO", section)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			m[name] = value
		}
	}
	return m, nil
}

// setting returns a setting of the server.
func (c *conn) setting(name string) (string, error) {
	v, err := c.do("CONFIG", "GET", name)
	if err != nil {
		return "", err
	}
	list, ok := v.([]any)
	if !ok || len(list) < 2 {
		return "", fmt.Errorf("the server has no setting %s", name)
	}
	s, _ := list[1].(string)
	return s, nil
}

// codes maps the first word of a refusal. It is never written to.
var codes = map[string]shield.Code{
	"NOAUTH": shield.Unauthorized, "WRONGPASS": shield.Unauthorized, "NOPERM": shield.Forbidden,
	"LOADING": shield.Unavailable, "BUSY": shield.Unavailable, "TRYAGAIN": shield.Unavailable,
	"MASTERDOWN": shield.Unavailable, "CLUSTERDOWN": shield.Unavailable, "NOMASTERLINK": shield.Unavailable,
}

// classify turns an error of the connection into one of shield's.
func (c *config) classify(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// In the sandbox the host's own errors are shield's already.
	broken := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	var known *shield.Error
	if errors.As(err, &known) && !broken {
		return err
	}
	code := shield.TargetFailed
	var r refusal
	var n net.Error
	switch {
	case errors.As(err, &r):
		if k, ok := codes[r.kind()]; ok {
			code = k
		} else if strings.Contains(string(r), "invalid password") || strings.Contains(string(r), "AUTH") {
			code = shield.Unauthorized
		}
	case broken, errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &n):
		code = shield.Unavailable
		err = fmt.Errorf("the connection broke: %w", err)
	}
	return shield.Errorf(code, "redis", "%s: %w", c.addr(), err)
}
