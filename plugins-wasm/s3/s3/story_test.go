//go:build linux

package s3_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/storefault"
)

// A tree is a folder to back up, and a daemon with a job that does.
type tree struct {
	*shieldtest.System
	from, to string
	data     []byte
}

func newTree(t *testing.T, plugin, endpoint string) *tree {
	t.Helper()
	s := shieldtest.Start(t)
	r := &tree{System: s, from: filepath.Join(s.Dir, "from"), to: filepath.Join(s.Dir, "to"), data: content(3, 7<<20)}
	if err := os.Mkdir(r.from, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.from, "file"), r.data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Install(shieldtest.Module(t, plugin))
	s.Target("from", "fs", `{"base_dir":"`+r.from+`"}`)
	s.Target("to", "fs", `{"base_dir":"`+r.to+`"}`)
	s.Store("store", plugin, endpoint)
	s.Job("job", "from", "store")
	return r
}

// TestStory: module, daemon and command line, to a server and back, and gone.
func TestStory(t *testing.T) {
	t.Parallel()
	for plugin, start := range map[string]func(testing.TB) *service{"s3": startMinIO, "scality": startVersityGW} {
		t.Run(plugin, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			bucket := s.versioned(t)
			r := newTree(t, plugin, string(s.endpoint(t, bucket, nil)))
			a := r.Backup("job")
			if !strings.Contains(strings.Join(s.left(t, bucket), "\n"), "some/where/"+a.Key) {
				t.Errorf("%s is not in the bucket: %q", a.Key, s.left(t, bucket))
			}
			r.Restore(a.UUID, "to")
			if got, err := os.ReadFile(filepath.Join(r.to, "file")); err != nil || string(got) != string(r.data) {
				t.Errorf("restored %d bytes of %d, %v", len(got), len(r.data), err)
			}
			if strings.Contains(r.Log()+r.Run("show", "store", "store"), s.SecretKey) {
				t.Error("the secret key is shown")
			}
		})
	}
}

// TestStoryFaults: what fails half way leaves no archive and no object, and
// wrong bytes are not restored.
func TestStoryFaults(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.versioned(t)
	p := faultproxy.StartHTTP(t, s.URL, &faultproxy.Options{TLS: s.ca.Serve(t), Upstream: &tls.Config{RootCAs: s.ca.Pool}})
	r := newTree(t, "s3", string(s.endpoint(t, bucket, fields{"url": p.URL, "retries": 1, "timeout": "2s"})))
	part := request(http.MethodPut, "partNumber", true)
	for name, c := range map[string]struct {
		rule faultproxy.Rule
		says string
	}{
		"403 half way":                {faultproxy.Rule{Match: part, Skip: 1, Fault: faultproxy.Say(answer(storefault.Denied))}, "s3:PutObject is needed"},
		"reset":                       {faultproxy.Rule{Match: part, Skip: 1, Fault: faultproxy.ResetRequest(1 << 20)}, "reset"},
		"success that is none":        {faultproxy.Rule{Match: request(http.MethodPost, "uploadId", true), Fault: faultproxy.Say(lie("complete"))}, "does not have it"},
		"the manifest cannot be sent": {faultproxy.Rule{Match: request(http.MethodPut, "partNumber", false), Fault: faultproxy.Say(answer(storefault.Denied))}, "s3:PutObject is needed"},
	} {
		p.Set(c.rule)
		stdout, stderr, status := r.Try("run", "job", "job", "--wait")
		p.Set()
		if status == 0 || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: exit status %d, %s%s", name, status, stdout, stderr)
		}
		if all := r.Archives(); len(all) != 0 {
			t.Errorf("%s: there is an archive: %+v", name, all)
		}
		for _, o := range s.left(t, bucket) {
			t.Errorf("%s: left behind: %s", name, o)
		}
	}
	a := r.Backup("job")
	p.Set(faultproxy.Rule{Match: func(q *http.Request) bool {
		return q.Method == http.MethodGet && strings.HasSuffix(q.URL.Path, a.Key)
	}, Fault: faultproxy.FlipResponse(5 << 20)})
	if stdout, stderr, status := r.Try("restore", "archive", a.UUID, "--to", "to", "--confirm", "to", "--wait"); status == 0 {
		t.Errorf("wrong bytes were restored: %s%s", stdout, stderr)
	}
}

// TestStoryLocked: the daemon asks for the lock, a purge waits for it and is
// no failure.
func TestStoryLocked(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.bucket(t, true)
	r := newTree(t, "s3", string(s.endpoint(t, bucket, fields{"lock_mode": "compliance"})))
	a := r.Backup("job")
	_, stderr, status := r.Try("delete", "archive", a.UUID, "--wait")
	if status != 4 || !strings.Contains(stderr, "which keeps this until ") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
	if left := s.left(t, bucket); len(left) != 2 {
		t.Errorf("blob and manifest have to be there: %q", left)
	}
	if tasks := r.Run("list", "tasks"); !strings.Contains(tasks, " pending ") || strings.Contains(tasks, "failed") {
		t.Errorf("the purge does not wait: %s", tasks)
	}
}
