package exec_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
)

// A told collects what calls report, up to a limit each.
type told struct {
	limit int64
	mu    sync.Mutex
	text  string
}

func (r *told) take(a plugin.Action, from io.Reader) {
	b, _ := io.ReadAll(io.LimitReader(from, r.limit))
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(b) > 0 {
		r.text += string(a) + ": " + string(b)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, want string
		limit            int64
		fails            bool
	}{
		{"told", `eval "echo heard >&$SHIELD_REPORT_FD"; echo -n data`, "backup: heard\n", 100, false},
		{"nothing told", `echo -n data`, "", 100, false},
		{"told before a failure", `eval "echo heard >&$SHIELD_REPORT_FD"; exit 4`, "backup: heard\n", 100, true},
		{"more than is read", `eval "head -c 1000000 /dev/zero >&$SHIELD_REPORT_FD"; echo -n data`, "backup: \x00\x00", 2, false},
		{"closed early", `eval "exec $SHIELD_REPORT_FD>&-"; echo -n data`, "", 100, false},
		{"held open", `setsid sleep 30 >/dev/null 2>&1 </dev/null & echo -n data`, "", 100, false},
	} {
		for _, delivery := range []string{"fd", "env"} {
			t.Run(tt.name+"/"+delivery, func(t *testing.T) {
				t.Parallel()
				r := &told{limit: tt.limit}
				info := `{"name":"x","version":"1","endpoint":"` + delivery + `","features":{"target":"yes","store":"no"},"fields":[]}`
				p := script(t, &exec.Options{Name: "called", Report: r.take}, info, map[plugin.Action]string{plugin.ActionBackup: tt.body})
				tg, err := p.OpenTarget(t.Context(), shield.Endpoint(`{}`), nil)
				if err != nil {
					t.Fatal(err)
				}
				var out strings.Builder
				from := time.Now()
				err = tg.Backup(t.Context(), &out)
				if tt.fails {
					if !errors.Is(err, shield.TargetFailed) || !strings.HasPrefix(err.Error(), "called backup: ") {
						t.Errorf("error is %v", err)
					}
				} else if err != nil || out.String() != "data" {
					t.Errorf("%q, %v", out.String(), err)
				}
				if time.Since(from) > 20*time.Second {
					t.Error("it waited for what holds the descriptor")
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.text != tt.want {
					t.Errorf("told %q, want %q", r.text, tt.want)
				}
			})
		}
	}
}
