package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// describeMachine tells what a reader needs to judge the figures.
func describeMachine(ctx context.Context, b *bench) []string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // none is told if there is none
	load, _ := os.ReadFile("/proc/loadavg")                // as above
	versions := []string{"shield " + said(ctx, filepath.Join(b.bin, "shieldd"), "--version")}
	for _, p := range peers {
		versions = append(versions, said(ctx, "bash", "-c", p.version))
	}
	return []string{
		fmt.Sprintf("machine: %d cores, %s (model %s; %s), %s of memory, Linux %s", runtime.NumCPU(),
			procValue("/proc/cpuinfo", "model name"), procValue("/proc/cpuinfo", "model"), instructions(),
			procValue("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(kernel))),
		"programs: " + strings.ReplaceAll(strings.Join(versions, ", "), "\n", ", ") + ", " + runtime.Version(),
		"all files on: " + b.disk,
		fmt.Sprintf("%d rounds, begun %s with a load average of %s", b.rounds, time.Now().UTC().Format("2006-01-02 15:04 UTC"), strings.Join(strings.Fields(string(load))[:1], "")),
	}
}

// instructions tells which of those there are that make hashing and
// encryption several times faster.
func instructions() string {
	flags := strings.Fields(procValue("/proc/cpuinfo", "flags"))
	var out []string
	for _, f := range []string{"aes", "vaes", "sha_ni", "avx2", "avx512f"} {
		if slices.Contains(flags, f) {
			out = append(out, f)
		} else {
			out = append(out, "no "+f)
		}
	}
	return strings.Join(out, ", ")
}

// said is what a command prints, or that it is missing.
func said(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return filepath.Base(name) + " of unknown version"
	}
	return strings.TrimSpace(string(out))
}
