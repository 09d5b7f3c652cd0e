package mongo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
)

// A conn is a connection to a server, for commands. There is one at a time.
type conn struct {
	net.Conn
	where string
	id    uint32
}

const (
	opMsg        = 2013
	messageLimit = 48 << 20 // of what a server sends
	patience     = 30 * time.Second
)

// dial connects and logs in.
func (e *endpoint) dial(ctx context.Context) (*conn, error) {
	addr := net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var raw net.Conn
	var err error
	if e.TLS == tlsDisabled {
		raw, err = pdk.Dial(limited, "tcp", addr)
	} else {
		raw, err = pdk.DialTLS(limited, "tcp", addr, e.tlsConfig())
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, shield.Errorf(dialCode(err), "", "%s: %w", addr, err)
	}
	c := &conn{Conn: raw, where: addr}
	if err := c.login(limited, e); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return c, nil
}

// dialCode keeps what the host refuses, for which trying later does not help.
func dialCode(err error) shield.Code {
	if shield.CodeOf(err) == shield.Forbidden {
		return shield.Forbidden
	}
	return shield.Unavailable
}

// run runs a command of a database and returns the answer.
func (c *conn) run(ctx context.Context, db string, command ...field) (map[string]any, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answer, err := c.exchange(append(command, field{"$db", db}))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, shield.Errorf(shield.Unavailable, "", "%s: %s: %w", c.where, command[0].name, err)
	}
	if ok, _ := answer["ok"].(int64); ok != 1 {
		return nil, commandError(c.where, command[0].name, answer)
	}
	return answer, nil
}

// exchange sends a document and reads the answer.
func (c *conn) exchange(command []field) (map[string]any, error) {
	c.id++
	b := make([]byte, 16, 256)
	binary.LittleEndian.PutUint32(b[4:], c.id)
	binary.LittleEndian.PutUint32(b[12:], opMsg)
	b = append(b, 0, 0, 0, 0, 0) // no flags; a section with the document
	b = append(b, encode(command)...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	var head [21]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if binary.LittleEndian.Uint32(head[12:]) != opMsg || size < 26 || size > messageLimit || head[20] != 0 {
		return nil, errors.New("what answers there does not speak MongoDB's protocol")
	}
	rest := make([]byte, size-21)
	if _, err := io.ReadFull(c, rest); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(rest)
	if uint64(n) > uint64(len(rest)) {
		return nil, errDocument
	}
	return document(rest[:n]).decode()
}

// commandError makes an error of an answer that says no.
func commandError(where, command string, answer map[string]any) error {
	message, _ := answer["errmsg"].(string)
	code, _ := answer["code"].(int64)
	kind := shield.TargetFailed
	switch code {
	case 18, 8000, 11:
		kind = shield.Unauthorized
	case 13:
		kind = shield.Forbidden
	case 26, 73:
		kind = shield.NotFound
	case 6, 7, 89, 91, 189, 10107, 11600, 11602, 13435, 13436:
		kind = shield.Unavailable
	}
	return shield.Errorf(kind, "", "%s: %s: %s (error %d)", where, command, message, code)
}

// login proves who we are. An endpoint without a user does not.
func (c *conn) login(ctx context.Context, e *endpoint) error {
	hello := []field{{"isMaster", int32(1)}}
	if e.User != "" {
		hello = append(hello, field{"saslSupportedMechs", e.authDB() + "." + e.User})
	}
	greeting, err := c.run(ctx, "admin", hello...)
	if err != nil || e.User == "" {
		return err
	}
	if e.Password == "" && e.Cert != "" {
		_, err := c.run(ctx, "$external", field{"authenticate", int32(1)}, field{"mechanism", "MONGODB-X509"}, field{"user", e.User})
		return err
	}
	mechanism := scramSHA1
	list, _ := greeting["saslSupportedMechs"].([]any)
	for _, m := range list {
		if m == scramSHA256 {
			mechanism = scramSHA256
		}
	}
	if len(list) == 0 {
		mechanism = scramSHA256 // servers do not tell what they have for users that they do not have
	}
	return c.scram(ctx, e, newScram(mechanism, e.User, e.Password), mechanism)
}

func (c *conn) scram(ctx context.Context, e *endpoint, s *scram, mechanism string) error {
	answer, err := c.run(ctx, e.authDB(), field{"saslStart", int32(1)}, field{"mechanism", mechanism}, field{"payload", s.begin()},
		field{"options", []field{{"skipEmptyExchange", true}}})
	if err != nil {
		return loginError(c.where, err)
	}
	message, err := s.answer(payload(answer))
	if err != nil {
		return shield.Errorf(shield.Unauthorized, "", "%s: %w", c.where, err)
	}
	id, _ := answer["conversationId"].(int64)
	answer, err = c.run(ctx, e.authDB(), field{"saslContinue", int32(1)}, field{"conversationId", int32(id)}, field{"payload", message})
	if err != nil {
		return loginError(c.where, err)
	}
	if err := s.verify(payload(answer)); err != nil {
		return shield.Errorf(shield.Unauthorized, "", "%s: %w", c.where, err)
	}
	if done, _ := answer["done"].(bool); !done {
		_, err = c.run(ctx, e.authDB(), field{"saslContinue", int32(1)}, field{"conversationId", int32(id)}, field{"payload", []byte{}})
	}
	return err
}

func payload(answer map[string]any) []byte {
	b, _ := answer["payload"].([]byte)
	return b
}

// loginError says that what the server said no to was the login.
func loginError(where string, err error) error {
	if shield.CodeOf(err) != shield.TargetFailed {
		return err
	}
	return shield.Errorf(shield.Unauthorized, "", "%s: the login was refused: %w", where, err)
}

// all runs a command that answers with a cursor and returns all documents.
func (c *conn) all(ctx context.Context, db string, command ...field) ([]map[string]any, error) {
	answer, err := c.run(ctx, db, command...)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for batch := "firstBatch"; ; batch = "nextBatch" {
		cursor, _ := answer["cursor"].(map[string]any)
		docs, ok := cursor[batch].([]any)
		if !ok {
			return nil, fmt.Errorf("%s: %s answers without documents", c.where, command[0].name)
		}
		for _, d := range docs {
			m, _ := d.(map[string]any)
			list = append(list, m)
		}
		id, _ := cursor["id"].(int64)
		if id == 0 {
			return list, nil
		}
		space, _ := cursor["ns"].(string)
		name := space[min(len(space), len(db)+1):]
		if answer, err = c.run(ctx, db, field{"getMore", id}, field{"collection", name}); err != nil {
			return nil, err
		}
	}
}
