package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/shieldhq/shield"
)

// An asker asks somebody at a terminal.
type asker struct {
	in  *os.File
	buf *bufio.Reader
	out io.Writer
}

// newAsker returns nil if nobody sits there.
func newAsker(in io.Reader, out io.Writer) *asker {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &asker{in: f, buf: bufio.NewReader(f), out: out}
}

// A question is asked until its answer is good.
type question struct {
	label   string // "base_dir"
	help    string
	example string
	preset  string // what an empty answer means
	secret  bool   // not to be seen while it is typed, nor is its preset
	words   []string
	// optional allows no answer where there is no preset.
	optional bool
	check    func(string) error // may be nil
}

// ask returns the answer; answered is false if it was empty.
func (a *asker) ask(q *question) (answer string, answered bool, err error) {
	if q.help != "" {
		fmt.Fprintf(a.out, "\n%s\n", plain(q.help))
	}
	if len(q.words) > 0 {
		fmt.Fprintf(a.out, "  %s\n", plain(strings.Join(q.words, ", ")))
	}
	for {
		fmt.Fprint(a.out, q.prompt())
		if answer, err = a.line(q.secret); err != nil {
			return "", false, err
		}
		if err := q.fault(answer); err != nil {
			fmt.Fprintf(a.out, "  %s\n", plain(err.Error()))
			continue
		}
		return cmp.Or(answer, q.preset), answer != "", nil
	}
}

func (q *question) prompt() string {
	hint := ""
	switch {
	case q.secret && q.preset != "":
		hint = " [as it is]"
	case q.preset != "":
		hint = " [" + q.preset + "]"
	case q.example != "":
		hint = " (like " + q.example + ")"
	case q.optional:
		hint = " [none]"
	}
	return plain(q.label+hint) + ": "
}

func (q *question) fault(answer string) error {
	switch {
	case answer == "" && q.preset == "" && !q.optional:
		return errors.New("something is wanted here")
	case answer == "":
		return nil
	case len(q.words) > 0 && !slices.Contains(q.words, answer):
		return fmt.Errorf("one of %s is wanted", strings.Join(q.words, ", "))
	case q.check != nil:
		return q.check(answer)
	}
	return nil
}

// line reads a line, without showing it if it is secret.
func (a *asker) line(secret bool) (string, error) {
	if secret {
		restore := a.restoring()
		defer restore()
		b, err := term.ReadPassword(int(a.in.Fd()))
		fmt.Fprintln(a.out)
		return strings.TrimSpace(string(b)), ended(err)
	}
	s, err := a.buf.ReadString('\n')
	if err == io.EOF && s != "" {
		err = nil
	}
	return strings.TrimSpace(s), ended(err)
}

func ended(err error) error {
	if err == io.EOF {
		return shield.Errorf(shield.Canceled, "", "the input ended before all questions were answered: nothing was done")
	}
	return err
}

// restoring makes the terminal show what is typed again if a signal ends the
// program meanwhile.
func (a *asker) restoring() func() {
	state, err := term.GetState(int(a.in.Fd()))
	if err != nil {
		return func() {}
	}
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			_ = term.Restore(int(a.in.Fd()), state)
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
