package agent_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// TestNice looks at the threads of an agent that is to give way, and at a plugin
// that it runs.
func TestNice(t *testing.T) {
	t.Parallel()
	f := newField(t)
	a := f.join("a", "--nice", "7", "--ionice", "idle")
	f.job("a", "a")
	task := f.backUp()
	f.says(task, "halfway")
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", a.cmd.Process.Pid))
	f.check(err)
	plugins := 0
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread))
		f.check(err)
		f.gaveWay(id)
		children, err := os.ReadFile(thread + "/children")
		f.check(err)
		for child := range strings.FieldsSeq(string(children)) {
			id, err := strconv.Atoi(child)
			f.check(err)
			f.gaveWay(id)
			plugins++
		}
	}
	if plugins == 0 {
		t.Error("no plugin runs: the test would prove half")
	}
	f.proceed()
	f.end(task, shield.TaskDone, "")
}

// gaveWay checks the niceness of a thread, and its class of input and output.
func (f *field) gaveWay(id int) {
	f.t.Helper()
	const who, idle = 1, 3 << 13 // IOPRIO_WHO_PROCESS, IOPRIO_CLASS_IDLE
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, id)
	if err == unix.ESRCH {
		return // it has ended
	}
	f.check(err)
	io, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, who, uintptr(id), 0)
	if errno == unix.ESRCH {
		return
	}
	if nice != 20-7 || errno != 0 || io&(7<<13) != idle { // the kernel's 20 is a niceness of 0
		f.t.Errorf("thread %d has niceness %d and class %#x (%v)", id, 20-nice, io, errno)
	}
}

// TestRate has an agent move no more than it may, by a limit whose window is
// always, and in which only the way up is bounded.
func TestRate(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.join("a", "--rate", `{"up":"1GiB","windows":[{"from":"00:00","to":"24:00","up":"512KiB","down":"none"}]}`)
	f.job("a", "a")
	f.proceed()
	began := time.Now()
	f.end(f.backUp(), shield.TaskDone, "")
	least := time.Duration(len(f.data)) * time.Second / (512 << 10) * 8 / 10 // a part passes at once
	if took := time.Since(began); took < least {
		t.Errorf("%d bytes went up in %s, want at least %s", len(f.data), took, least)
	}
	f.restored()
}

// TestAllowPath gives an agent a task whose store is not where it allows.
func TestAllowPath(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.join("a", "--allow-path", f.path("elsewhere"))
	f.job("a", "a")
	f.proceed()
	got := f.end(f.backUp(), shield.TaskFailed, shield.Forbidden)
	if !strings.Contains(got.Error, "--allow-path") || !strings.Contains(got.Error, f.path("st")) {
		t.Errorf("it says %q", got.Error)
	}
}

// TestNoSecrets looks for the secrets of a target and of a token in whatever an
// agent writes that tells all it can.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	f := newField(t)
	a := f.join("a", "--log-level", "debug")
	f.job("a", "a")
	task := f.backUp()
	f.says(task, "halfway")
	a.kill() // so that there is a record of it
	f.clean(a)
	a.start("")
	f.end(task, shield.TaskFailed, shield.Interrupted)
	f.proceed()
	f.end(f.backUp(), shield.TaskDone, "")
	f.restored()
	f.clean(a)
}

// clean checks that no secret is in an agent's folder or log.
func (f *field) clean(a *beside) {
	f.t.Helper()
	token := a.token[strings.LastIndex(a.token, "_")+1:] // behind what names the daemon
	files := []string{a.log}
	f.check(filepath.WalkDir(a.state, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	}))
	for _, path := range files {
		text, err := os.ReadFile(path)
		f.check(err)
		for what, secret := range map[string]string{"password": password, "token": token} {
			if bytes.Contains(text, []byte(secret)) {
				f.t.Errorf("the %s is in %s", what, path)
			}
		}
	}
}
