package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// Of ioprio_set(2).
const (
	ioprioWhoProcess      = 1
	ioprioClassShift      = 13
	ioprioClassBestEffort = 2
	ioprioClassIdle       = 3
	ioprioLeast           = 7
)

// lower gives way to what else runs on this host. On Linux both are of a
// thread, and threads and processes that are made later have them of the one
// that makes them.
func lower(nice int, ionice string) error {
	if nice < 0 || nice > 19 {
		return shield.FieldErrorf("nice", "is %d: 0 to 19 are allowed", nice)
	}
	io := 0
	switch ionice {
	case "best-effort":
		io = ioprioClassBestEffort<<ioprioClassShift | ioprioLeast
	case "idle":
		io = ioprioClassIdle << ioprioClassShift
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if nice > 0 {
			if err := unix.Setpriority(unix.PRIO_PROCESS, id, nice); err != nil {
				return shield.FieldErrorf("nice", "%d cannot be set: %v", nice, err)
			}
		}
		if io != 0 {
			if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(id), uintptr(io)); errno != 0 {
				return shield.FieldErrorf("ionice", "%s cannot be set: %v", ionice, errno)
			}
		}
	}
	return nil
}
