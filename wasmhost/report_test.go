//go:build unix

package wasmhost

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What a child that was taken over may say makes no more than noise.
func TestTakeReports(t *testing.T) {
	const good = `{"capability":"tcp","text":"the capability tcp does not allow it"}` + "\n"
	many := strings.Repeat(good, 2*auditLimit)
	for _, tt := range []struct {
		name, in string
		want     int
	}{
		{"nothing", "", 0}, {"one", good, 1}, {"two", good + good, 2}, {"no end", strings.TrimSpace(good), 1}, {"many", many, auditLimit},
		{"noise", "noise\n" + good, 0}, {"an unknown capability", `{"capability":"root","text":"x"}` + "\n" + good, 0},
		{"too long", `{"capability":"tcp","text":"` + strings.Repeat("x", reportLine) + `"}` + "\n" + good, 0},
		{"another key", `{"capability":"tcp","text":"x","plugin":"another","grease":1}` + "\n", 1},
		{"half a line", good + `{"capability":"t`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			takeReports(strings.NewReader(tt.in), func(string, string) { got++ })
			if got != tt.want {
				t.Errorf("%d denials, want %d", got, tt.want)
			}
		})
	}
	takeReports(strings.NewReader(`{"capability":"own","text":"a\u001b[31mb\nc`+strings.Repeat("x", reportText)+`"}`), func(_, text string) {
		if !strings.HasPrefix(text, "ab c") || len(text) > reportText {
			t.Errorf("the text is %q", text)
		}
	})
}

func TestReporter(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// The descriptor will be the reporter's own, which closes it.
	fd, err := syscall.Dup(int(w.Fd()))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	tell := reporter(func(string) string { return strconv.Itoa(fd) })
	told := make(chan [2]string, 1)
	go takeReports(r, func(capability, text string) { told <- [2]string{capability, text} })
	tell(Event{Plugin: "p", Op: "p backup", Capability: "exec", Text: `run "id"`})
	if got, want := <-told, [2]string{"exec", `run "id"`}; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	tell(Event{Capability: "exec", Text: "after the end"}) // nobody listens
	for _, fd := range []string{"", "x", "-1", "99999999"} {
		if reporter(func(string) string { return fd }) != nil {
			t.Errorf("descriptor %q was taken", fd)
		}
	}
}

func FuzzReports(f *testing.F) {
	f.Add(`{"capability":"tcp","text":"x"}` + "\n" + `{"capability":"read","text":"y"}`)
	f.Fuzz(func(t *testing.T, in string) {
		n := 0
		takeReports(io.LimitReader(strings.NewReader(in), 1<<20), func(capability, text string) {
			n++
			if len(text) > reportText || strings.ContainsAny(text, "\x1b\n\r") || capability == "" {
				t.Errorf("%q, %q", capability, text)
			}
		})
		if n > auditLimit {
			t.Errorf("%d denials", n)
		}
	})
}
