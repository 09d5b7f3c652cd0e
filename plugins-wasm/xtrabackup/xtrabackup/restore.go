package xtrabackup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// workName is the folder, within the data folder and so on the same disk,
// that a restore works in. No database can have this name.
const workName = ".shield-restore"

// extractor is the program that goes with a tool and extracts streams.
func extractor(p mysqlcli.Program) string {
	if p.Vendor == mysqlcli.MariaDB {
		return "mbstream"
	}
	return "xbstream"
}

// Restore implements plugin.Target: the stream is extracted and prepared in a
// folder of its own, and moved to where it belongs only when all of that went
// well.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	var n *note
	var begun []byte
	err := tool.Inspect(ctx, r, "the stream", func(r io.Reader) (err error) {
		n, begun, err = readNote(r)
		return err
	})
	if err != nil {
		return err
	}
	program, err := t.preparer(ctx, n)
	if err != nil {
		return err
	}
	if err := t.checkStopped(ctx); err != nil {
		return err
	}
	if err := t.checkEmpty(); err != nil {
		return err
	}
	if len(begun) > 0 {
		r = pdk.Concat(bytes.NewReader(begun), r)
	}
	if err := t.fill(ctx, program, r); err != nil {
		return errors.Join(err, t.cleanUp())
	}
	if t.Start {
		if err := t.start(ctx); err != nil {
			return shield.Errorf(shield.CodeOf(err), "", "the data is back in %s, but the server was not started: %w", t.DataDir, err)
		}
	}
	return nil
}

// startPause is between two attempts to reach a server that starts.
const startPause = 500 * time.Millisecond

// start has the server started, and waits until it answers: a command that
// ends well may have started one that does not stay.
func (t *target) start(ctx context.Context) error {
	if _, err := t.system().Run(ctx, tool.Job{Name: startCommand}); err != nil {
		return err
	}
	quiet := mysqlcli.NewClient(t.Connection, nil) // it will be refused at first
	for begun := time.Now(); ; {
		_, err := quiet.Query(ctx, "SELECT 1;")
		if code := shield.CodeOf(err); err == nil || code == shield.Unauthorized || code == shield.Forbidden {
			return nil // the accounts are those of the archive
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if shield.CodeOf(err) != shield.Unavailable || time.Since(begun) > t.startTimeout {
			return err
		}
		time.Sleep(startPause)
	}
}

// preparer finds the tool for an archive. It has to be of the series of the
// server that was backed up: another may not know its log.
func (t *target) preparer(ctx context.Context, n *note) (mysqlcli.Program, error) {
	if n == nil {
		p, err := t.find(ctx, mysqlcli.MariaDB)
		if err != nil && t.Tool == "" {
			return t.find(ctx, mysqlcli.MySQL)
		}
		return p, err
	}
	server := mysqlcli.ParseServer(n.Server)
	p, err := t.find(ctx, server.Vendor)
	if err != nil {
		return p, err
	}
	if !sameSeries(p, server) && !t.AnyVersion {
		return p, shield.Errorf(shield.Invalid, "", "the archive is of %s and the tool is %s: the same series is wanted; mysql_any_version goes on regardless", server, p)
	}
	return p, nil
}

// checkStopped refuses to work under a server that runs.
func (t *target) checkStopped(ctx context.Context) error {
	rows, err := t.client.Query(ctx, "SELECT @@datadir;")
	if err == nil && len(rows) > 0 && strings.TrimRight(rows[0][0], "/") == t.DataDir || shield.CodeOf(err) == shield.Unauthorized {
		return shield.Errorf(shield.Conflict, "", "a server runs on %s: stop it before its data folder is restored", t.client.Where())
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// checkEmpty wants the data folder empty, but for what a restore has left
// that was killed.
func (t *target) checkEmpty() error {
	entries, err := os.ReadDir(t.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return shield.FieldErrorf("endpoint.mysql_datadir", "is %s: there is no such folder; make it, owned by the server's user", t.DataDir)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != workName && e.Name() != "lost+found" {
			return shield.Errorf(shield.Conflict, "", "the data folder %s is not empty, %s for one is in it: move that away first", t.DataDir, e.Name())
		}
	}
	return nil
}

// fill does all that may fail before anything is where the server looks.
func (t *target) fill(ctx context.Context, program mysqlcli.Program, r io.Reader) error {
	work := path.Join(t.DataDir, workName)
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	if _, err := t.client.Host.Run(ctx, tool.Job{Name: extractor(program), Args: []string{"-x", "-C", work}, Stdin: r}); err != nil {
		return err
	}
	if _, err := os.Stat(path.Join(work, "backup-my.cnf")); err != nil {
		return shield.Errorf(shield.Corrupt, "", "the stream has no backup-my.cnf: it is none of %s", program.Name)
	}
	res, err := t.client.Host.Run(ctx, tool.Job{
		Name: program.Name, Args: []string{"--no-defaults", "--prepare", "--target-dir=" + work}, Stdout: io.Discard, Tolerate: tolerated,
	})
	if err == nil {
		err = checkCompleted(program.Name, res.Lines)
	}
	if err != nil {
		return err
	}
	return t.settle(ctx, work)
}

// system runs programs that are no tools of the server's.
func (t *target) system() *tool.Host { return &tool.Host{Dialect: mysqlcli.Dialect(), Log: t.log} }

// settle gives the files their owner and moves them to where they belong.
func (t *target) settle(ctx context.Context, work string) error {
	owner := "--reference=" + t.DataDir
	if t.Owner != "" {
		owner = t.Owner
	}
	if _, err := t.system().Run(ctx, tool.Job{Name: "chown", Args: []string{"-R", owner, work}}); err != nil {
		return err
	}
	entries, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isLeftover(e.Name()) {
			continue
		}
		if err := os.Rename(path.Join(work, e.Name()), path.Join(t.DataDir, e.Name())); err != nil {
			return err
		}
		t.moved = append(t.moved, e.Name())
	}
	return os.RemoveAll(work)
}

// isLeftover reports whether a file is the tool's and not the server's.
func isLeftover(name string) bool {
	return name == noteName || name == "backup-my.cnf" || strings.HasPrefix(name, "xtrabackup_") && name != "xtrabackup_binlog_info" ||
		strings.HasPrefix(name, "mariadb_backup_") && name != "mariadb_backup_binlog_info"
}

// cleanUp removes what a restore that failed has made, and nothing else.
func (t *target) cleanUp() error {
	err := os.RemoveAll(path.Join(t.DataDir, workName))
	for _, name := range t.moved {
		err = errors.Join(err, os.RemoveAll(path.Join(t.DataDir, name)))
	}
	return err
}
