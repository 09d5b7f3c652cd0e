// Command quickstart shows shield at work: it starts a daemon with its data
// in a temporary folder, backs up a real tree twice, restores it into another
// folder, compares every file, and leaves the daemon running.
//
// It uses the programs as their user would, from the folder of -bin.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/treecmp"
	"github.com/shieldhq/shield/server"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the programs")
	tree := flag.String("tree", "", "tree to back up (default: the source of the Go toolchain)")
	leave := flag.Bool("exit", false, "stop the daemon, remove its data and exit when all compared equal")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *tree, *leave); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, tree string, leave bool) (err error) {
	if tree == "" {
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return fmt.Errorf("go env GOROOT: %w", err)
		}
		tree = filepath.Join(strings.TrimSpace(string(out)), "src")
	}
	dir, err := os.MkdirTemp("", "shield-quickstart-")
	if err != nil {
		return err
	}
	q := &quickstart{bin: bin, tree: tree, dir: dir}
	defer func() {
		err = errors.Join(err, q.stop())
		if leave {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := q.start(ctx); err != nil {
		return err
	}
	if err := q.show(ctx); err != nil {
		return err
	}
	if leave {
		return nil
	}
	fmt.Printf("\nThe daemon goes on. Try, in another terminal:\n\n  export SHIELD_API=%s SHIELD_TOKEN_FILE=%s\n  %s/shield status\n  %s/shield list archives\n\nPress Ctrl-C to stop it; its data stays in %s\n",
		q.api, q.token(), bin, bin, dir)
	select {
	case <-ctx.Done():
	case <-q.ended:
		return errors.New("the daemon ended by itself")
	}
	return nil
}

// A quickstart is one run of the demonstration.
type quickstart struct {
	bin, tree, dir, api string
	daemon              *exec.Cmd
	ended               chan struct{}
	client              *server.Client
}

func (q *quickstart) path(name string) string { return filepath.Join(q.dir, name) }
func (q *quickstart) token() string           { return q.path("data/admin-token") }

// start runs shieldd on a free port and waits until it says where it listens.
func (q *quickstart) start(ctx context.Context) error {
	q.daemon = exec.Command(filepath.Join(q.bin, "shieldd"), "--data", q.path("data"), "--listen", "127.0.0.1:0")
	q.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us to pass on
	var log bytes.Buffer
	q.daemon.Stderr = &log
	out, err := q.daemon.StdoutPipe()
	if err != nil {
		return err
	}
	if err := q.daemon.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for q.api == "" && lines.Scan() {
		q.api, _ = strings.CutPrefix(lines.Text(), "listening on ")
		if !strings.HasPrefix(q.api, "http") {
			q.api = ""
		}
	}
	q.ended = make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = q.daemon.Wait() // how it ended does not matter: that it did, does
		close(q.ended)
	}()
	if q.api == "" {
		<-q.ended
		return fmt.Errorf("the daemon did not start: %s", log.String())
	}
	token, err := os.ReadFile(q.token())
	if err != nil {
		return err
	}
	q.client, err = server.NewClient(q.api, shield.Secret(strings.TrimSpace(string(token))))
	return err
}

func (q *quickstart) stop() error {
	if q.ended == nil {
		return nil
	}
	_ = q.daemon.Process.Signal(syscall.SIGTERM) // it may have ended already
	<-q.ended
	return nil
}

// shield runs the command line as a user would, and shows it.
func (q *quickstart) shield(ctx context.Context, args ...string) error {
	fmt.Printf("\n$ shield %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, filepath.Join(q.bin, "shield"), args...)
	cmd.Env = append(os.Environ(), "SHIELD_API="+q.api, "SHIELD_TOKEN_FILE="+q.token())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	return cmd.Run()
}

func (q *quickstart) show(ctx context.Context) error {
	for _, name := range []string{"store", "restored"} {
		if err := os.Mkdir(q.path(name), 0o700); err != nil {
			return err
		}
	}
	steps := [][]string{
		{"create", "target", "--name", "source", "--plugin", "fs", "--endpoint", fmt.Sprintf(`{"base_dir": %q}`, q.tree)},
		{"create", "target", "--name", "elsewhere", "--plugin", "fs", "--scratch", "--endpoint", fmt.Sprintf(`{"base_dir": %q}`, q.path("restored"))},
		{"create", "store", "--name", "disk", "--plugin", "fs", "--endpoint", fmt.Sprintf(`{"base_dir": %q}`, q.path("store"))},
		{"create", "schedule", "--name", "nightly", "--timespec", "daily 4am"},
		{"create", "retention", "policy", "--name", "month", "--expiry", "30d"},
		{"create", "job", "--name", "source-nightly", "--target", "source", "--store", "disk", "--schedule", "nightly", "--retention-policy", "month"},
		{"run", "job", "source-nightly", "--wait"},
		{"run", "job", "source-nightly", "--wait"},
		{"list", "archives"},
	}
	for _, s := range steps {
		if err := q.shield(ctx, s...); err != nil {
			return err
		}
	}
	archives, err := q.client.Archives().List(ctx, nil)
	if err != nil {
		return err
	}
	if len(archives) != 2 {
		return fmt.Errorf("%d archives are listed, not the 2 that were made", len(archives))
	}
	began := time.Now()
	if err := q.shield(ctx, "restore", "archive", archives[0].UUID, "--to", "elsewhere", "--wait"); err != nil {
		return err
	}
	return q.compare(archives, time.Since(began))
}

// compare looks at every file of the restored tree and sums up.
func (q *quickstart) compare(archives []*shield.Archive, restored time.Duration) error {
	differences, err := treecmp.Compare(q.tree, q.path("restored"))
	if err != nil {
		return err
	}
	if len(differences) > 0 {
		return fmt.Errorf("the restored tree differs in %d places: %s", len(differences), strings.Join(differences[:min(5, len(differences))], "; "))
	}
	files, size, err := count(q.tree)
	if err != nil {
		return err
	}
	a := archives[0]
	fmt.Printf("\nAll equal: bytes, modes, owners, times and links of %d files, %.1f MB.\n", files, float64(size)/1e6)
	fmt.Printf("  backup   %.1f MB in, %.1f MB stored (%.2f to 1), sealed to the key in %s\n",
		float64(a.RawSize)/1e6, float64(a.StoredSize)/1e6, float64(a.RawSize)/float64(a.StoredSize), q.path("data/identity.txt"))
	fmt.Printf("  restore  %.2f s, %.0f MB/s\n", restored.Seconds(), float64(a.RawSize)/1e6/restored.Seconds())
	fmt.Printf("  API      %s\n  data     %s\n", q.api, q.dir)
	return nil
}

func count(tree string) (files int, size int64, err error) {
	err = filepath.WalkDir(tree, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files++
			size += info.Size()
		}
		return err
	})
	return files, size, err
}
