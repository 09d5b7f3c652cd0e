package daemon_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
)

// slowClients are as many as a daemon has to bear.
const slowClients = 10_000

// slowKinds are what a slow client sends at once, and what a byte at a time.
var slowKinds = []struct{ first, rest string }{
	{"", ""},
	{"", "GET /healthz HTTP/1.1\r\nHost: " + strings.Repeat("x", 10_000)},
	{"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 3000), ""},
	{"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{", strings.Repeat(" ", 9_998)},
}

// beSlow is the process of the slow clients of a daemon, each of which comes again
// when it is cut off. It says "open" when each has a connection and "cut" when the
// daemon has ended one of each, and ends with its standard input.
func beSlow(address string) int {
	var opened, cut sync.WaitGroup
	opened.Add(slowClients)
	cut.Add(slowClients)
	dialing := make(chan struct{}, 100)
	for n := range slowClients {
		go func() {
			for once := true; ; once = false {
				dialing <- struct{}{}
				d := net.Dialer{}
				if runtime.GOOS == "linux" { // where all of 127.0.0.0/8 is there: an address has few ports
					d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%100))}
				}
				conn, err := d.Dial("tcp", address)
				<-dialing
				if err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
				if once {
					opened.Done()
				}
				beSlowOn(conn, n)
				if once {
					cut.Done()
				}
			}
		}()
	}
	go func() {
		opened.Wait()
		fmt.Println("open")
		cut.Wait()
		fmt.Println("cut")
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// beSlowOn returns when the daemon has ended the connection.
func beSlowOn(conn net.Conn, n int) {
	defer conn.Close()
	kind := slowKinds[n%len(slowKinds)]
	_, _ = io.WriteString(conn, kind.first)
	ended := make(chan struct{})
	go func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for ; kind.rest != ""; kind.rest = kind.rest[1:] {
			select {
			case <-t.C:
				_, _ = io.WriteString(conn, kind.rest[:1])
			case <-ended:
				return
			}
		}
	}()
	_, _ = io.Copy(io.Discard, conn)
	close(ended)
}

// TestSlowClients: ten thousand clients that send a byte at a time, or nothing,
// and come again when they are cut off, keep nobody from being answered, take
// little memory, and leave none behind.
func TestSlowClients(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if want := uint64(slowClients + 1000); files.Max < want { // Go has raised the soft limit to it
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: want, Max: want}); err != nil { // which root may
			if os.Getenv("CI") != "" {
				t.Fatalf("at most %d files can be open: %v", files.Max, err)
			}
			t.Skipf("at most %d files can be open: %v", files.Max, err)
		}
	}
	d, api := serve(t, daemon.Config{HeaderTimeout: 2 * time.Second, BodyTimeout: 3 * time.Second})
	before, routines := inUse(), runtime.NumGoroutine()
	stop, said := slowly(t, d.Addr())
	if line := <-said; line != "open" {
		t.Fatalf("the slow clients say %q", line)
	}
	for n := range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		name := fmt.Sprint(n)
		_, err := api.Schedules().Create(ctx, &shield.Schedule{Meta: shield.Meta{Name: name}, Timespec: "daily 4:00"})
		if _, getErr := api.Schedules().Get(ctx, name); err != nil || getErr != nil {
			t.Errorf("request %d: %v, %v", n, err, getErr)
		}
		if err := fresh(ctx, d.URL()+"/readyz"); err != nil {
			t.Errorf("connection %d: %v", n, err)
		}
		cancel()
	}
	if grown := (inUse() - before) / slowClients; grown > 32<<10 {
		t.Errorf("each takes %d bytes", grown)
	}
	if line := <-said; line != "cut" {
		t.Fatalf("the slow clients say %q", line)
	}
	stop()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > routines+100; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left of %d clients that have gone", runtime.NumGoroutine()-routines, slowClients)
		}
	}
	if left := inUse() - before; left > 32<<20 {
		t.Errorf("they have left %d bytes behind", left)
	}
}

// slowly starts the process of the slow clients of an address, which stop ends.
func slowly(t *testing.T, address string) (stop func(), said <-chan string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SHIELD_TEST_SLOW="+address)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	stop = sync.OnceFunc(func() {
		in.Close()
		for range lines {
		}
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return stop, lines
}

// fresh asks by a connection of its own.
func fresh(ctx context.Context, url string) error {
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// inUse is the memory, in bytes, that Go uses for data and stacks.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools keep theirs for one
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
