package catalog_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
)

// crashEnv names the catalog that a child process writes to until it is
// killed.
const crashEnv = "SHIELD_CATALOG_CRASH"

// TestMain turns a child into the writer of the crash test. It also lowers
// the default number of random checks, 100, since each opens a catalog;
// -rapid.checks still sets it.
func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		fmt.Fprintln(os.Stderr, writeForEver(path))
		os.Exit(1)
	}
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// writeForEver runs backups to their end, each in three transactions, and
// prints the UUID of each archive when the catalog has acknowledged it.
func writeForEver(path string) error {
	ctx := context.Background()
	db, err := catalog.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	target, err := db.Target(ctx, "t")
	if err != nil {
		return err
	}
	store, err := db.Store(ctx, "s")
	if err != nil {
		return err
	}
	for {
		id, err := backUp(ctx, db, target, store)
		if err != nil {
			return err
		}
		fmt.Println(id)
	}
}

func backUp(ctx context.Context, db *catalog.DB, target *shield.Target, store *shield.Store) (string, error) {
	now := time.Now()
	task := &shield.Task{
		Op: shield.OpBackup, Archive: uuid.NewString(), Key: "k", Retention: 1,
		Target: target.UUID, TargetPlugin: "fs", Store: store.UUID, StorePlugin: "fs",
	}
	if err := db.CreateTask(ctx, task); err != nil {
		return "", err
	}
	l := shield.Lease{Owner: "child", Expires: now.Add(time.Hour)}
	claimed, err := db.ClaimTask(ctx, l, now.Add(time.Second))
	if err != nil {
		return "", err
	}
	l.Epoch = claimed.LeaseEpoch
	log := strings.Repeat("line\n", 5000) // several pages, so that a transaction can be torn
	o := shield.Outcome{Status: shield.TaskDone, StoppedAt: now, Log: log, Archive: &shield.Archive{Key: "k-" + claimed.Archive}}
	return claimed.Archive, db.FinishTask(ctx, claimed.UUID, l, o)
}

func newCrashFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "shield.db")
	db := mustOpen(t, path)
	addTarget(t, db, "t")
	if err := db.CreateStore(t.Context(), &shield.Store{Meta: shield.Meta{Name: "s"}, Plugin: "fs", Endpoint: shield.Endpoint("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// killChild lets a child write until it has acknowledged n archives, kills it
// in the middle of the next and returns what it acknowledged.
func killChild(t *testing.T, path string, n int) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashEnv+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acked = append(acked, lines.Text()); len(acked) == n {
			time.Sleep(time.Duration(n) * 137 * time.Microsecond) // another point each time
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the child ended with %v, want it killed", err)
	}
	return acked
}

func TestKilledWhileWriting(t *testing.T) {
	path := newCrashFile(t)
	var acked []string
	for round := range 6 {
		acked = append(acked, killChild(t, path, 1+round*5)...)
		checkAfterCrash(t, path, acked)
	}
}

// checkAfterCrash checks that the file is sound, that all that was
// acknowledged is there, and that no task is done without its archive.
func checkAfterCrash(t *testing.T, path string, acked []string) {
	t.Helper()
	checkIntegrity(t, path)
	db := mustOpen(t, path)
	defer db.Close()
	for _, id := range acked {
		if _, err := db.Archive(t.Context(), id); err != nil {
			t.Errorf("an acknowledged archive is lost: %v", err)
		}
	}
	archives, err := db.Archives(t.Context(), shield.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	done, err := db.Tasks(t.Context(), shield.Filter{Statuses: []string{"done"}})
	if err != nil || len(done) != len(archives) {
		t.Errorf("%d tasks are done and %d archives exist, error %v", len(done), len(archives), err)
	}
	endInterrupted(t, db)
}

// endInterrupted does what a scheduler does at its start, so that the next
// child can claim.
func endInterrupted(t *testing.T, db *catalog.DB) {
	t.Helper()
	lapsed, err := db.LapsedTasks(t.Context(), time.Now(), func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range lapsed {
		l := shield.Lease{Owner: task.LeaseOwner, Epoch: task.LeaseEpoch, Expires: time.Now()}
		if err := db.FinishTask(t.Context(), task.UUID, l, shield.Outcome{Status: shield.TaskFailed, Code: shield.Interrupted}); err != nil {
			t.Fatal(err)
		}
	}
}

func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		t.Fatalf("integrity check says %q, error %v", answer, err)
	}
}

// TestDiskFull fills the catalog to a limit and checks that the write that
// does not fit leaves nothing, and that the catalog works on afterwards.
func TestDiskFull(t *testing.T) {
	path := newCrashFile(t)
	db := mustOpen(t, path)
	target, err := db.Target(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	store, err := db.Store(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Exec("PRAGMA max_page_count = 200"); err != nil {
		t.Fatal(err)
	}
	var full error
	for full == nil {
		_, full = backUp(t.Context(), db, target, store)
	}
	wantCode(t, full, shield.Unavailable, "full")
	done, err := db.Tasks(t.Context(), shield.Filter{Statuses: []string{"done"}})
	if err != nil {
		t.Fatal(err)
	}
	archives, err := db.Archives(t.Context(), shield.Filter{})
	if err != nil || len(archives) != len(done) || len(done) == 0 {
		t.Errorf("%d tasks are done and %d archives exist on a full disk, error %v", len(done), len(archives), err)
	}
	if err := db.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	endInterrupted(t, db)
	if _, err := backUp(t.Context(), db, target, store); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	checkIntegrity(t, path)
}
