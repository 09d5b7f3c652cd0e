package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// download asks for the content of an archive; err is how its body ended.
func (f *fixture) download(path, ranges string) (*http.Response, []byte, error) {
	f.t.Helper()
	req := httpGet(f.url + path)
	req.Header.Set("Authorization", "Bearer "+token)
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	resp, err := http.DefaultClient.Do(req)
	f.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

// blob is what the store has of an archive.
func (f *fixture) blob(store string, a *shield.Archive) []byte {
	f.t.Helper()
	b, ok := f.memory.Blob(store, a.Key)
	if !ok {
		f.t.Fatalf("the store has no %s", a.Key)
	}
	return b
}

func TestContent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	f.memory.SetTarget("a", want)
	a := f.backup("a")
	path, sealed := "/v1/archives/"+a.UUID+"/content", f.blob("a", a)

	resp, b, err := f.download(path, "")
	if err != nil || resp.StatusCode != 200 || !bytes.Equal(b, sealed) || resp.ContentLength != a.StoredSize || resp.Header.Get("ETag") != fmt.Sprintf("%q", a.StoredDigest) {
		t.Errorf("sealed: %v, %d bytes of %d, %v", resp.Status, len(b), len(sealed), err)
	}
	if name := resp.Header.Get("Content-Disposition"); !strings.Contains(name, a.UUID+".zst.age") {
		t.Errorf("it is called %s", name)
	}
	resp, b, err = f.download(path+"?opened=true", "")
	if err != nil || resp.StatusCode != 200 || !bytes.Equal(b, want) {
		t.Errorf("opened: %v, %d bytes of %d, %v", resp.Status, len(b), len(want), err)
	}
	for _, c := range []struct {
		ranges      string
		first, last int64
	}{
		{"bytes=0-", 0, a.StoredSize - 1}, {"bytes=100-", 100, a.StoredSize - 1}, {"bytes=100-199", 100, 199}, {"bytes=5-999999999", 5, a.StoredSize - 1},
		{"bytes=0-0", 0, 0}, {fmt.Sprintf("bytes=%d-", a.StoredSize-1), a.StoredSize - 1, a.StoredSize - 1},
	} {
		resp, b, err := f.download(path, c.ranges)
		says := fmt.Sprintf("bytes %d-%d/%d", c.first, c.last, a.StoredSize)
		if err != nil || resp.StatusCode != 206 || !bytes.Equal(b, sealed[c.first:c.last+1]) || resp.Header.Get("Content-Range") != says {
			t.Errorf("%s: %s %s, %d bytes, %v", c.ranges, resp.Status, resp.Header.Get("Content-Range"), len(b), err)
		}
	}
	for _, ranges := range []string{"bytes=-5", "bytes=9-5", "bytes=x", "lines=1-2", "bytes=1-2,5-6", "bytes=999999999-"} { // HTTP lets these be for the whole
		if resp, b, err := f.download(path, ranges); err != nil || resp.StatusCode != 200 || !bytes.Equal(b, sealed) {
			t.Errorf("%s: %s, %d bytes, %v", ranges, resp.Status, len(b), err)
		}
	}
	for path, field := range map[string]string{path + "?opened=maybe": "opened", path + "?sealed=true": "sealed"} {
		if p := f.refused(f.do("GET", path, "")); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", path, p)
		}
	}
	if p := f.refused(f.do("GET", "/v1/archives/nope/content", "")); p.Status != 404 {
		t.Errorf("%+v", p)
	}
}

// TestContentDamaged: no client takes a damaged archive for a good one,
// whichever byte is damaged.
func TestContentDamaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("big")
	f.memory.GenerateTarget("big", 3<<20, 1)
	for _, name := range []string{"a", "big"} {
		a := f.backup(name)
		t.Run(name, func(t *testing.T) { f.downloadDamaged(t, a) })
	}
}

func (f *fixture) downloadDamaged(t *testing.T, a *shield.Archive) {
	path := "/v1/archives/" + a.UUID + "/content"
	for _, fault := range []struct {
		kind plugintest.Fault
		n    int64
	}{
		{plugintest.GetFlips, 0}, {plugintest.GetFlips, a.StoredSize - 1}, {plugintest.GetTruncates, a.StoredSize - 1}, {plugintest.GetTruncates, 10},
		{plugintest.GetFailsAfter, a.StoredSize / 2}, {plugintest.GetFailsAfter, 0},
	} {
		for _, query := range []string{"", "?opened=true"} {
			f.faulty.Set(fault.kind, fault.n)
			resp, b, err := f.download(path+query, "")
			if err == nil && resp.StatusCode < 500 {
				t.Errorf("%s %d%s: %d bytes came as if all was well", fault.kind, fault.n, query, len(b))
			}
			f.faulty.Clear()
		}
	}
	if a.StoredSize > 100_000 {
		return
	}
	f.faulty.Set(plugintest.GetFlips, a.StoredSize/2)
	if p := f.refused(f.do("GET", path, "")); p.Code != "corrupt" { // as long as nothing went out, the client is told why
		t.Errorf("%+v", p)
	}
	f.faulty.Clear()
	if resp, _, err := f.download(path, ""); err != nil || resp.StatusCode != 200 {
		t.Errorf("the archive itself: %s, %v", resp.Status, err)
	}
}

// TestContentHolds: an archive that is downloaded is not purged meanwhile, and
// one that is purged is not downloaded.
func TestContentHolds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	a := f.backup("a")
	_, r, err := f.scheduler.Open(t.Context(), a.UUID, true)
	f.must(err)
	_, err = f.client.PurgeArchive(t.Context(), a.UUID)
	want(t, err, shield.Conflict, "", "is being downloaded")
	f.must(r.Close())
	f.must(r.Close()) // twice is harmless
	f.wait(f.client.PurgeArchive(t.Context(), a.UUID))
	p := f.refused(f.do("GET", "/v1/archives/"+a.UUID+"/content", ""))
	if p.Status != 409 || !strings.Contains(p.Detail, "is purged") {
		t.Errorf("%+v", p)
	}
}

// TestVerify: a damaged archive is found, is no valid one from then on, and is
// one again when it is good again.
func TestVerify(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	a := f.backup("a")
	verify := func() *shield.Task {
		t.Helper()
		return f.wait(f.client.VerifyArchive(t.Context(), a.UUID))
	}
	status := func() shield.ArchiveStatus {
		t.Helper()
		now, err := f.client.Archives().Get(t.Context(), a.UUID)
		f.must(err)
		return now.Status
	}
	end := verify()
	if end.Status != shield.TaskDone || end.Target != "" || end.Progress.RawBytes != a.RawSize || !strings.Contains(f.logOf(end), "the manifest agrees") {
		t.Errorf("%s %s: %+v", end.Status, end.Error, end.Progress)
	}
	f.faulty.Set(plugintest.GetFlips, a.StoredSize/2)
	if end := verify(); end.Status != shield.TaskFailed || end.ErrorCode != shield.Corrupt || status() != shield.ArchiveInvalid {
		t.Errorf("damaged: %s %s, the archive is %s", end.Status, end.ErrorCode, status())
	}
	if events := f.do("GET", "/v1/events?limit=50", "").body; !strings.Contains(events, `"archive.damaged"`) {
		t.Errorf("no event tells: %s", events)
	}
	if end := verify(); end.Status != shield.TaskFailed || status() != shield.ArchiveInvalid {
		t.Errorf("damaged still: %s, the archive is %s", end.Status, status())
	}
	f.faulty.Clear()
	if end := verify(); end.Status != shield.TaskDone || status() != shield.ArchiveValid {
		t.Errorf("good again: %s %s, the archive is %s", end.Status, end.Error, status())
	}
	for _, fault := range []plugintest.Fault{plugintest.GetFailsAfter, plugintest.GetFlips} { // the manifest alone
		f.faulty.SetWhere(fault, 3, func(key string) bool { return key == a.ManifestKey })
		if end := verify(); end.Status != shield.TaskFailed || end.ErrorCode != shield.StoreFailed || status() != shield.ArchiveValid || !strings.Contains(end.Error, "manifest") {
			t.Errorf("%s of the manifest: %s %s %s, the archive is %s", fault, end.Status, end.ErrorCode, end.Error, status())
		}
		f.faulty.Clear()
	}
	f.wait(f.client.PurgeArchive(t.Context(), a.UUID))
	_, err := f.client.VerifyArchive(t.Context(), a.UUID)
	want(t, err, shield.Conflict, "", "is purged")
}

func (f *fixture) logOf(t *shield.Task) string {
	f.t.Helper()
	whole, err := f.client.Tasks().Get(f.t.Context(), t.UUID)
	f.must(err)
	return whole.Log
}
