// Command probe is a guest that does what the test tells it to by its
// endpoint, and backs up what came of it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

func main() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name: "probe", Author: "tests", Version: "1.0.0",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleTarget, Name: "do", Type: plugin.TypeString, Required: true},
				{Mode: plugin.RoleTarget, Name: "addr", Type: plugin.TypeString},
				{Mode: plugin.RoleTarget, Name: "use", Type: plugin.TypeString},
				{Mode: plugin.RoleTarget, Name: "url", Type: plugin.TypeURL},
				{Mode: plugin.RoleTarget, Name: "ca", Type: plugin.TypeText},
				{Mode: plugin.RoleTarget, Name: "args", Type: plugin.TypeText},
				{Mode: plugin.RoleTarget, Name: "env", Type: plugin.TypeString},
				{Mode: plugin.RoleTarget, Name: "proxy", Type: plugin.TypeURL},
				{Mode: plugin.RoleTarget, Name: "folder", Type: plugin.TypeAbsPath},
			},
			Capabilities: json.RawMessage(`{"tcp":["{addr}","{proxy}"],"http":["{url}"],"exec":["cat","sh","rev","missing","{folder}/tool"],"memory":"128MiB"}`),
		},
		Target: func(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
			p := &probe{log: log}
			return p, e.Decode(p)
		},
	})
}

type probe struct {
	Do, Addr, Use, URL, CA, Args, Env, Proxy, Folder string

	log plugin.Log
}

func (p *probe) Restore(ctx context.Context, r io.Reader) error {
	if p.Do == "put" {
		return p.put(ctx, r)
	}
	c := p.command(ctx)
	c.Stdin, c.Stdout = r, io.Discard
	return c.Run()
}

func (p *probe) Backup(ctx context.Context, w io.Writer) error {
	do, ok := map[string]func(context.Context, io.Writer) error{
		"echo": p.echo, "tls": p.tls, "upgrade": p.upgrade, "get": p.get, "exec": p.exec, "deadline": p.deadline,
		"filter": p.filter, "together": p.together, "stat": p.stat, "ignore": p.ignore, "hash": p.hash, "key": p.key, "undo": p.undo, "examine": p.examine,
	}[p.Do]
	if !ok {
		return fmt.Errorf("cannot %s", p.Do)
	}
	return do(ctx, w)
}

func (p *probe) target() string {
	if p.Use != "" {
		return p.Use
	}
	return p.Addr
}

// echo sends 4 MiB and gives back what it gets.
func (p *probe) echo(ctx context.Context, w io.Writer) error {
	c, err := pdk.Dial(ctx, "tcp", p.target())
	if err != nil {
		return err
	}
	return talk(c, w)
}

func talk(c net.Conn, w io.Writer) error {
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, io.LimitReader(zeros{}, 4<<20))
		sent <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	if _, err := pdk.Copy(w, c); err != nil {
		return err
	}
	return <-sent
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (p *probe) tls(ctx context.Context, w io.Writer) error {
	c, err := pdk.DialTLS(ctx, "tcp", p.Addr, &pdk.TLSConfig{CA: p.CA})
	if err != nil {
		return err
	}
	return talk(c, w)
}

// upgrade says STARTTLS, waits for a line and goes on with TLS.
func (p *probe) upgrade(ctx context.Context, w io.Writer) error {
	c, err := pdk.Dial(ctx, "tcp", p.Addr)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(c, "STARTTLS\n"); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(p.Addr)
	s, err := pdk.UpgradeTLS(ctx, c, &pdk.TLSConfig{CA: p.CA, Name: host})
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte("x")); err == nil {
		return errors.New("the connection underneath can still be used")
	}
	return talk(s, w)
}

func (p *probe) get(ctx context.Context, w io.Writer) error {
	url := p.URL
	if p.Use != "" {
		url = p.Use
	}
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	t, err := pdkhttp.New(p.options())
	if err != nil {
		return err
	}
	answer, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 3 {
		_, err = io.WriteString(w, "redirect to "+answer.Header.Get("Location"))
		return err
	}
	_, err = pdk.Copy(w, answer.Body)
	return err
}

func (p *probe) put(ctx context.Context, r io.Reader) error {
	if p.Use == "memory" {
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, "PUT", p.URL, r)
	if err != nil {
		return err
	}
	answer, err := pdkhttp.Client().Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

func (p *probe) command(ctx context.Context) *pdk.Cmd {
	var args []string
	if p.Args != "" {
		args = strings.Split(p.Args, "\n")
	}
	c := pdk.Command(ctx, p.Use, args...)
	if p.Env != "" {
		c.Env = []string{p.Env}
	}
	return c
}

func (p *probe) exec(ctx context.Context, w io.Writer) error {
	c := p.command(ctx)
	c.Stdout = w
	return c.Run()
}

// examine runs a program with files of its own and says what came out of it.
func (p *probe) examine(ctx context.Context, w io.Writer) error {
	var complaints strings.Builder
	c := p.command(ctx)
	c.Folder, c.Files = p.Folder, map[string]string{"secret.txt": "of the guest"}
	c.Stdout, c.Stderr, c.Tail = w, &complaints, 8
	err := c.Run()
	fmt.Fprintf(w, "\ntail %q, stderr %q, error %v", c.LastOutput(), complaints.String(), err)
	return nil
}

// filter pipes 4 MiB of its own through a program.
func (p *probe) filter(ctx context.Context, w io.Writer) error {
	c := p.command(ctx)
	c.Stdin, c.Stdout = io.LimitReader(zeros{}, 4<<20), w
	return c.Run()
}

// deadline waits for a silent server in three ways that must end.
func (p *probe) deadline(ctx context.Context, w io.Writer) error {
	c, err := pdk.Dial(ctx, "tcp", p.Addr)
	if err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("deadline: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	time.AfterFunc(100*time.Millisecond, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("moved deadline: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	time.AfterFunc(100*time.Millisecond, func() { c.Close() })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close: %v", err)
	}
	_, err = io.WriteString(w, "all three")
	return err
}

// together counts the ticks that happen while a connection is silent.
func (p *probe) together(ctx context.Context, w io.Writer) error {
	c, err := pdk.Dial(ctx, "tcp", p.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	go c.Read(make([]byte, 1))
	ticks := 0
	for t, over := time.NewTicker(10*time.Millisecond), time.After(time.Second); ; {
		select {
		case <-t.C:
			ticks++
			continue
		case <-over:
		}
		break
	}
	if ticks < 50 {
		return fmt.Errorf("%d ticks in a second", ticks)
	}
	_, err = io.WriteString(w, "ticked")
	return err
}

// stat shows the environment that the host gives to guests.
func (p *probe) stat(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(os.Environ(), "\n"))
	return err
}

// ignore uses what was not granted, does not mind, and ends well.
func (p *probe) ignore(ctx context.Context, w io.Writer) error {
	if _, err := pdk.Dial(ctx, "tcp", p.Use); err == nil {
		return errors.New("connected")
	}
	_, err := io.WriteString(w, "fine")
	return err
}

func (p *probe) options() *pdkhttp.Options {
	o := &pdkhttp.Options{Proxy: p.Proxy}
	if p.CA != "" {
		o.TLS = &pdk.TLSConfig{CA: p.CA}
	}
	if p.Args != "" {
		o.Idle, _ = time.ParseDuration(p.Args)
	}
	return o
}

// hash writes the checksum of 4 MiB of zeros.
func (p *probe) hash(_ context.Context, w io.Writer) error {
	sum, err := pdk.Sum(p.Use, make([]byte, 4<<20))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%x", sum)
	return err
}

// key gives what the host makes of a password.
func (p *probe) key(_ context.Context, w io.Writer) error {
	key, err := pdk.DeriveKey(p.Use, "pencil", []byte("salt"), 4096)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%x", key)
	return err
}

// undo has a request made by the host unless it comes to its end, which it
// does if it is told to.
func (p *probe) undo(ctx context.Context, w io.Writer) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, p.URL, nil)
	if err != nil {
		return err
	}
	u, err := pdkhttp.Undo(nil, r)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "begun"); err != nil {
		return err
	}
	switch p.Use {
	case "fail":
		return errors.New("failed")
	case "wait":
		time.Sleep(time.Hour)
	}
	return u.Close()
}
