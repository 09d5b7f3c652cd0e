// Command target-go is an example of a target in Go: the keys of a Redis-like
// server, dumped and restored in its own line protocol. The same source is a
// sandboxed module and a native program:
//
//	GOOS=wasip1 GOARCH=wasm go build -o lines.wasm ./examples/target-go
//	go build -o lines ./examples/target-go
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

func main() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name: "lines", Author: "you", Version: "1.0.0",
			Summary:  "a server that answers DUMP and LOAD",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleTarget, Name: "host", Type: plugin.TypeString, Title: "Host", Required: true},
				{Mode: plugin.RoleTarget, Name: "port", Type: plugin.TypePort, Title: "Port", Default: "7070"},
				{Mode: plugin.RoleTarget, Name: "password", Type: plugin.TypePassword, Title: "Password"},
			},
			Actions:      []plugin.Action{plugin.ActionTest},
			Endpoint:     plugin.DeliverFD, // no secrets on the command line of the native program
			Capabilities: json.RawMessage(`{"tcp": ["{host}:{port}"], "memory": "32MiB"}`),
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) {
			t := &target{}
			return t, e.Decode(t)
		},
	})
}

type target struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Password string `json:"password"`
}

// call sends a command and returns the connection once the server agreed.
func (t *target) call(ctx context.Context, command string) (net.Conn, *bufio.Reader, error) {
	c, err := pdk.Dial(ctx, "tcp", net.JoinHostPort(t.Host, strconv.Itoa(t.Port)))
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(ctx, func() { _ = c.Close() })
	if _, err := fmt.Fprintf(c, "AUTH %s\n%s\n", t.Password, command); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReader(c)
	answer, err := r.ReadString('\n')
	if err != nil {
		return nil, nil, err
	}
	if answer != "+OK\n" {
		return nil, nil, shield.Errorf(shield.Unauthorized, "", "the server says %q", strings.TrimSpace(answer))
	}
	return c, r, nil
}

// Test implements plugin.Tester.
func (t *target) Test(ctx context.Context) error {
	c, _, err := t.call(ctx, "PING")
	if err != nil {
		return err
	}
	return c.Close()
}

// Backup copies what follows DUMP. The server ends it with its length, so
// that a broken connection does not look like the end.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	c, r, err := t.call(ctx, "DUMP")
	if err != nil {
		return err
	}
	defer c.Close()
	var size int64
	if _, err := fmt.Fscanf(r, "%d\n", &size); err != nil {
		return err
	}
	_, err = io.CopyN(w, r, size)
	return err
}

// Restore reads to the end of the stream, and asks the server how much it got.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	c, answers, err := t.call(ctx, "LOAD")
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := pdk.Copy(c, r)
	if err != nil {
		return err
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	var got int64
	if _, err := fmt.Fscanf(answers, "%d\n", &got); err != nil || got != n {
		return fmt.Errorf("the server got %d of %d bytes: %w", got, n, err)
	}
	return nil
}
