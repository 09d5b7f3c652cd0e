package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A cost is what one operation took.
type cost struct {
	wall time.Duration
	cpu  time.Duration // user and system, of all processes that took part
	rss  int64         // peak of the largest process
}

func (c cost) String() string {
	return fmt.Sprintf("%.2f s (CPU %.2f s, %.0f MiB)", c.wall.Seconds(), c.cpu.Seconds(), float64(c.rss)/(1<<20))
}

// run runs a command to its end. The cost has all its children in it.
func run(ctx context.Context, env []string, name string, args ...string) (cost, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a stop ends pipelines whole
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	shrink()
	began := time.Now()
	err := cmd.Run()
	used := cost{wall: time.Since(began)}
	if p := cmd.ProcessState; p != nil {
		used.cpu = p.UserTime() + p.SystemTime()
		if u, ok := p.SysUsage().(*syscall.Rusage); ok {
			used.rss = int64(u.Maxrss) << 10
		}
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, tail(said.String()))
	}
	return used, err
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 2000 {
		s = "..." + s[len(s)-2000:]
	}
	return s
}

// shrink gives memory back and forgets this process's own peak, which Linux
// would otherwise pass on as the least peak of its children.
func shrink() {
	debug.FreeOSMemory()
	_ = resetPeak(os.Getpid()) // without it small peaks read too high
}

// resetPeak makes a process's peak memory start anew at what it uses now.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// peakRSS returns the peak memory of a process.
func peakRSS(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the system does not tell the peak of memory")
}

// tick is the unit of times in /proc/PID/stat on all of Linux's platforms.
const tick = 10 * time.Millisecond

// cpuTime returns what a running process and its ended children have used.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; what follows it begins
	// with the third field, and the times are fields 14 to 17.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, stat)
	}
	var ticks int64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
