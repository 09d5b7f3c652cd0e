package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// shieldContender is shield as its users run it: a daemon and the command
// line.
type shieldContender struct {
	bin    string
	places places
	daemon *daemon
}

var _ contender = (*shieldContender)(nil)

func (c *shieldContender) name() string { return "shield" }

// prepare starts a daemon of its own and tells it what to back up.
func (c *shieldContender) prepare(ctx context.Context, p places) (err error) {
	c.places = p
	if c.daemon, err = startDaemon(ctx, c.bin, filepath.Join(p.scratch, "data")); err != nil {
		return err
	}
	folder := func(dir string) string { return fmt.Sprintf(`{"base_dir": %q}`, dir) }
	for _, args := range [][]string{
		{"create", "target", "--name", "source", "--plugin", "fs", "--endpoint", folder(p.source)},
		{"create", "target", "--name", "elsewhere", "--plugin", "fs", "--endpoint", folder(p.out)},
		{"create", "store", "--name", "disk", "--plugin", "fs", "--endpoint", folder(p.store)},
		{"create", "schedule", "--name", "nightly", "--timespec", "daily " + farAway(time.Now())},
		{"create", "retention", "policy", "--name", "month", "--expiry", "30d"},
		{"create", "job", "--name", "job", "--target", "source", "--store", "disk", "--schedule", "nightly", "--retention-policy", "month"},
	} {
		if _, err := c.daemon.cli(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// farAway is an hour at which no benchmark that starts now is under way.
func farAway(now time.Time) string { return now.UTC().Add(12 * time.Hour).Format("15:00") }

func (c *shieldContender) backup(ctx context.Context) (cost, error) {
	return c.daemon.work(ctx, "run", "job", "job", "--wait")
}

func (c *shieldContender) restore(ctx context.Context) (cost, string, error) {
	archives, err := c.daemon.client.Archives().List(ctx, nil)
	if err != nil {
		return cost{}, "", err
	}
	if len(archives) != 1 {
		return cost{}, "", fmt.Errorf("%d archives are listed, not the one that was made", len(archives))
	}
	used, err := c.daemon.work(ctx, "restore", "archive", archives[0].UUID, "--to", "elsewhere", "--confirm", "elsewhere", "--wait")
	return used, c.places.out, err
}

func (c *shieldContender) close() error {
	if c.daemon == nil {
		return nil
	}
	err := c.daemon.stop()
	c.daemon = nil
	return err
}

// A daemon is a running shieldd.
type daemon struct {
	bin, api, token string
	agents          string        // where they dial it, if they can
	took            time.Duration // from its start until it listened
	cmd             *exec.Cmd
	log             bytes.Buffer // read it only when the daemon has ended
	ended           chan error
	client          *server.Client
}

// startDaemon runs shieldd on a free port, with further flags, and waits until
// it says where it listens.
func startDaemon(ctx context.Context, bin, data string, flags ...string) (*daemon, error) {
	d := &daemon{bin: bin, token: filepath.Join(data, "admin-token"), ended: make(chan error, 1)}
	d.cmd = exec.Command(filepath.Join(bin, "shieldd"), append([]string{"--data", data, "--listen", "127.0.0.1:0"}, flags...)...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us to pass on
	d.cmd.Stderr = &d.log
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = d.cmd.Process.Kill() }) // it may have ended
	defer stop()
	lines := bufio.NewScanner(out)
	for d.api == "" && lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "agents dial "); ok {
			d.agents = address
		}
		if api, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			d.api, d.took = api, time.Since(began)
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, out) // ends when the daemon does
		d.ended <- d.cmd.Wait()
	}()
	if d.api == "" {
		err := <-d.ended
		return nil, fmt.Errorf("shieldd did not start: %w: %s", err, tail(d.log.String()))
	}
	if err := d.connect(); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func (d *daemon) connect() error {
	token, err := os.ReadFile(d.token)
	if err != nil {
		return err
	}
	d.client, err = server.NewClient(d.api, shield.Secret(strings.TrimSpace(string(token))))
	return err
}

func (d *daemon) stop() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case err := <-d.ended:
		if err != nil {
			return fmt.Errorf("shieldd: %w: %s", err, tail(d.log.String()))
		}
		return nil
	case <-time.After(time.Minute):
		_ = d.cmd.Process.Kill() // as above
		<-d.ended
		return errors.New("shieldd did not stop within a minute")
	}
}

// cli runs the command line.
func (d *daemon) cli(ctx context.Context, args ...string) (cost, error) {
	env := []string{"SHIELD_API=" + d.api, "SHIELD_TOKEN_FILE=" + d.token}
	used, err := run(ctx, env, filepath.Join(d.bin, "shield"), args...)
	if err != nil {
		return used, fmt.Errorf("shield %s: %w", strings.Join(args, " "), err)
	}
	return used, nil
}

// work runs the command line and counts what the daemon did meanwhile.
func (d *daemon) work(ctx context.Context, args ...string) (cost, error) {
	pid := d.cmd.Process.Pid
	before, err := cpuTime(pid)
	if err != nil {
		return cost{}, err
	}
	if err := resetPeak(pid); err != nil {
		return cost{}, err
	}
	used, err := d.cli(ctx, args...)
	if err != nil {
		return used, err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return used, err
	}
	used.cpu += after - before
	used.rss, err = peakRSS(pid)
	return used, err
}
