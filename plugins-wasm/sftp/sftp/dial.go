package sftp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
)

// client is a logged-in connection. All that waits on it ends when its context
// does.
type client struct {
	*store
	*sftp.Client
	conn    *watched
	trusted bool // the server has shown a key that is known
	stop    func() bool
}

// open connects, in so many tries more than one, and looks whether the base
// directory is there.
func (s *store) open(ctx context.Context, op string, retries int) (*client, error) {
	c, err := s.connected(ctx, retries)
	if err != nil {
		return nil, s.failed(op, "connect", err)
	}
	if err := c.checkBase(); err != nil {
		c.close()
		return nil, s.failed(op, "open the folder "+s.base, err)
	}
	return c, nil
}

// connected connects. What may pass is tried again.
func (s *store) connected(ctx context.Context, retries int) (*client, error) {
	for try := 0; ; try++ {
		c, err := s.dial(ctx)
		if err == nil || try >= retries || ctx.Err() != nil || !isPassing(err) {
			return c, err
		}
		s.log(fmt.Sprintf("%s: %v: trying again", s.place, err))
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// pause waits before the next try: longer each time, up to half a minute.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(min(250*time.Millisecond<<min(try, 10), 30*time.Second))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dial connects and logs in, once for each list of algorithms by which the
// server may have the right key.
func (s *store) dial(ctx context.Context) (*client, error) {
	known, err := s.hostKeys()
	if err != nil {
		return nil, err
	}
	methods, err := s.login.methods()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, s.connect,
		shield.Errorf(shield.Unavailable, "", "%s: no connection within %s", s.addr, s.connect))
	defer cancel()
	var wrong *mismatch
	var lacking error
	for _, algorithms := range known.attempts() {
		var bad *mismatch
		c, err := s.handshake(limited, known, &ssh.ClientConfig{User: s.user, Auth: methods, HostKeyAlgorithms: algorithms})
		var other *ssh.AlgorithmNegotiationError
		switch {
		case err == nil:
			c.bind(ctx)
			return c, nil
		case errors.As(err, &bad):
			if bad.revoked {
				return nil, bad
			}
			if wrong == nil {
				wrong = bad
			}
			wrong.add(bad)
		case errors.As(err, &other) && other.What == "host key":
			lacking = err
		default:
			return nil, err
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	return nil, lacking
}

// hostKeys returns what the server is known by.
func (s *store) hostKeys() (*hostKeys, error) {
	if s.known != nil {
		return s.known, nil
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return nil, shield.FieldErrorf("endpoint.known_hosts_file", "%v", err)
	}
	known, err := parseHostKeys(text, s.addr)
	if err != nil {
		return nil, shield.FieldErrorf("endpoint.known_hosts_file", "%s %v", s.file, err)
	}
	return known, nil
}

// handshake connects, checks the host key and logs in.
func (s *store) handshake(ctx context.Context, known *hostKeys, config *ssh.ClientConfig) (*client, error) {
	raw, err := pdk.Dial(ctx, "tcp", s.addr)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	w := watch(raw, s.stall)
	stop := context.AfterFunc(ctx, func() { w.end(context.Cause(ctx)) })
	defer stop()
	defer w.waiting()()
	c := &client{store: s, conn: w}
	var bad error
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		bad = known.check(key)
		c.trusted = bad == nil
		return bad
	}
	err = c.establish(config)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		why := w.why()
		_ = w.Close()
		switch {
		case bad != nil:
			return nil, bad
		case why != nil:
			return nil, why
		}
		return nil, err
	}
	return c, nil
}

func (c *client) establish(config *ssh.ClientConfig) error {
	conn, channels, requests, err := ssh.NewClientConn(c.conn, c.addr, config)
	if err != nil {
		return c.loginError(err)
	}
	client := ssh.NewClient(conn, channels, requests)
	if c.Client, err = sftp.NewClient(client, sftp.UseConcurrentWrites(true)); err == nil {
		return nil
	}
	if _, _, lost := client.SendRequest("keepalive@openssh.com", true, nil); lost != nil {
		return fmt.Errorf("%w: %w", err, sftp.ErrSSHFxConnectionLost)
	}
	return shield.Errorf(shield.Forbidden, "", "%s has logged in, and cannot use SFTP (%v): the server needs the subsystem sftp, and the user a shell, or ForceCommand internal-sftp", c.user, err)
}

// loginError classifies why there is no session: what goes wrong after the
// server has proved to be the right one, and with the connection still there, is
// about the login.
func (c *client) loginError(err error) error {
	if c.trusted && !isLost(err) && c.conn.why() == nil {
		return shield.Errorf(shield.Unauthorized, "", "the server does not accept the %s of %s: %w", c.login, c.user, err)
	}
	return err
}

// bind ends the connection with the context of a call.
func (c *client) bind(ctx context.Context) {
	c.stop = context.AfterFunc(ctx, func() { c.conn.end(context.Cause(ctx)) })
}

// close ends the connection. It does not wait for a server that does not
// answer.
func (c *client) close() {
	c.stop()
	_ = c.conn.Close()
	_ = c.Client.Close()
}

// do runs a call that waits for the server. If the connection was ended from
// here, the error says why. One that is not the server's answer means that the
// connection cannot be used any more.
func (c *client) do(f func() error) error {
	done := c.conn.waiting()
	err := f()
	done()
	if err == nil {
		return nil
	}
	if why := c.conn.why(); why != nil {
		return why
	}
	if isAnswer(err) || isLost(err) {
		return err
	}
	_ = c.conn.Close()
	return fmt.Errorf("%w: %w", sftp.ErrSSHFxConnectionLost, err)
}
