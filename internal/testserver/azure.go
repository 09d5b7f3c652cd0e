//go:build linux

package testserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// An Azure is a blob service of Azurite's: Microsoft's emulator.
type Azure struct {
	*Process
	URL     string // of the blob service, with the account
	Addr    string // host:port
	Account string
	Key     string // in base64
}

// StartAzure starts Azurite with one account and no containers. With the files
// of a certificate and its key it speaks TLS.
func StartAzure(t testing.TB, certificate ...string) *Azure {
	t.Helper()
	dir, port := Dir(t), strconv.Itoa(Port(t))
	secret := make([]byte, 64)
	_, _ = rand.Read(secret) // never fails
	a := &Azure{Addr: "127.0.0.1:" + port, Account: "shieldtest", Key: base64.StdEncoding.EncodeToString(secret)}
	scheme := "http"
	args := []string{"--silent", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", port, "--location", dir}
	if len(certificate) == 2 {
		scheme = "https"
		args = append(args, "--cert", certificate[0], "--key", certificate[1])
	}
	a.URL = scheme + "://" + a.Addr + "/" + a.Account
	cmd := exec.Command(Built(t, "azurite-blob"), args...)
	cmd.Env = append(cmd.Environ(), "AZURITE_ACCOUNTS="+a.Account+":"+a.Key)
	cmd.Dir = dir
	a.Process = Start(t, cmd, Listening("tcp", a.Addr))
	return a
}

// A GCS is a fake-gcs-server, which keeps everything in memory.
type GCS struct {
	*Process
	URL  string
	Addr string // host:port
}

// StartGCS starts a fake-gcs-server without buckets. Its answers name public,
// the address of a proxy before it, as its own if that is not empty.
func StartGCS(t testing.TB, public string) *GCS {
	t.Helper()
	port := strconv.Itoa(Port(t))
	g := &GCS{Addr: "127.0.0.1:" + port}
	g.URL = "http://" + g.Addr
	if public == "" {
		public = g.Addr
	}
	cmd := exec.Command(Built(t, "fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", port,
		"-public-host", public, "-external-url", "http://"+public, "-backend", "memory", "-log-level", "error")
	cmd.Dir = filepath.Dir(Dir(t))
	g.Process = Start(t, cmd, answering(g.URL+"/storage/v1/b?project=p"))
	return g
}

// answering returns a check of whether a URL is answered with 200.
func answering(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers with %s", url, answer.Status)
		}
		return nil
	}
}
