package nativeplugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// TestMain lets the test binary be what the programs are: a host that is its
// own plugins.
func TestMain(m *testing.M) {
	plugins["teller"] = func() plugin.Opener { return teller }
	Main(os.Args)
	os.Exit(m.Run())
}

var teller = &plugin.Native{
	About: plugin.Info{
		Name: "teller", Version: "1", Features: plugin.Features{Target: "yes", Store: "no"}, Endpoint: plugin.DeliverFD,
		Fields: []plugin.Field{{Mode: plugin.RoleTarget, Name: "password", Type: plugin.TypePassword}},
	},
	Target: func(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
		return telling{string(e), log}, nil
	},
}

// telling is a target that backs up what it is given.
type telling struct {
	endpoint string
	log      plugin.Log
}

func (t telling) Backup(_ context.Context, w io.Writer) error {
	_, err := fmt.Fprintf(w, "pid %d\nargs %q\nendpoint %s\n%s", os.Getpid(), os.Args[1:], t.endpoint, strings.Join(os.Environ(), "\n"))
	return err
}

func (t telling) Restore(_ context.Context, r io.Reader) error {
	b, err := io.ReadAll(r)
	t.log(fmt.Sprintf("%d bytes", len(b)))
	return errors.Join(err, shield.Errorf(shield.Locked, "", "by the test"))
}

func open(t *testing.T) plugin.Opener {
	t.Helper()
	all, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return all["teller"]
}

// TestProcess: each call is a process of its own, that sees neither what the
// environment of the host holds nor an endpoint on its command line.
func TestProcess(t *testing.T) {
	t.Setenv("SHIELD_TEST_SECRET", "of the daemon")
	o := open(t)
	info, err := o.Info(t.Context())
	if err != nil || info.Runs != plugin.CarrierExecutable || !strings.HasPrefix(info.Digest, "sha256:") {
		t.Fatalf("%+v, %v", info, err)
	}
	tg, err := o.OpenTarget(t.Context(), shield.Endpoint(`{"password":"hunter2"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tg.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if want := `args ["plugin-native" "teller" "backup"]` + "\n" + `endpoint {"password":"hunter2"}`; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, &b)
	}
	for _, unwanted := range []string{"SHIELD_TEST_SECRET", fmt.Sprintf("pid %d\n", os.Getpid())} {
		if strings.Contains(b.String(), unwanted) {
			t.Errorf("%q is in\n%s", unwanted, &b)
		}
	}
}

func TestErrorsKeepTheirCodes(t *testing.T) {
	var lines []string
	tg, err := open(t).OpenTarget(t.Context(), shield.Endpoint(`{}`), func(line string) { lines = append(lines, line) })
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Restore(t.Context(), strings.NewReader("12345")); !errors.Is(err, shield.Locked) || !strings.Contains(err.Error(), "teller restore") {
		t.Errorf("%v", err)
	}
	if len(lines) == 0 || lines[0] != "5 bytes" {
		t.Errorf("log %q", lines)
	}
}

func TestUsage(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"a plugin's name is wanted": {command},
		"there is no plugin":        {command, "unknown", "info"},
		"one action is wanted":      {command, "teller"},
	} {
		out, err := exec.Command(program, args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !strings.Contains(string(out), want) {
			t.Errorf("%q prints %s, %v, want %q", args, out, err, want)
		}
	}
}

// TestAll: each of the plugins answers, by its own name.
func TestAll(t *testing.T) {
	all, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range all {
		info, err := o.Info(t.Context())
		if err != nil || info.Name != name {
			t.Errorf("%s calls itself %q, %v", name, info.Name, err)
		}
		plugintest.Run(t, o, plugintest.Config{})
	}
}
