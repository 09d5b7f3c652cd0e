package webdav_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
	"github.com/shieldhq/shield/plugins-wasm/webdav/webdav"
)

func TestValidation(t *testing.T) {
	t.Parallel()
	cert, key := testserver.NewCA(t).Issue("client")
	for name, c := range map[string]struct {
		change map[string]any
		field  string // that is wrong; empty if it is good
		says   string
	}{
		"good":                     {nil, "", ""},
		"of the predecessor":       {map[string]any{"username": "u", "password": "p", "skip_ssl_validation": true}, "", ""},
		"everything":               {map[string]any{"username": "u", "prefix": "/a/b/", "auth": "digest", "cert": cert, "key": key, "proxy": "socks5://p:1080"}, "", ""},
		"a colon and digest":       {map[string]any{"username": "a:b", "auth": "digest"}, "", ""},
		"no URL":                   {map[string]any{"url": ""}, "endpoint.url", "is missing"},
		"URL of another kind":      {map[string]any{"url": "ftp://dav.example"}, "endpoint.url", "https://"},
		"URL with a password":      {map[string]any{"url": "https://a:hunter2@dav.example"}, "endpoint.url", "field of its own"},
		"URL with a query":         {map[string]any{"url": "https://dav.example/?a=hunter2"}, "endpoint.url", "more than a host and a path"},
		"token and user name":      {map[string]any{"token": "hunter2", "username": "u"}, "endpoint.token", "one way"},
		"token with a line end":    {map[string]any{"token": "hunter2\nX: y"}, "endpoint.token", "line end"},
		"password alone":           {map[string]any{"password": "hunter2"}, "endpoint.username", "belongs to password"},
		"digest of nobody":         {map[string]any{"auth": "digest"}, "endpoint.username", "auth is digest"},
		"a colon":                  {map[string]any{"username": "a:b"}, "endpoint.username", "colon"},
		"unknown way":              {map[string]any{"username": "u", "auth": "ntlm"}, "endpoint.auth", "digest"},
		"certificate without key":  {map[string]any{"cert": cert}, "endpoint.cert", "belong together"},
		"certificate that is none": {map[string]any{"cert": "hunter2", "key": key}, "endpoint.cert", "PEM"},
		"bad prefix":               {map[string]any{"prefix": "a//b"}, "endpoint.prefix", "empty segment"},
		"proxy without port":       {map[string]any{"proxy": "http://u:hunter2@proxy"}, "endpoint.proxy", "http://host:port"},
		"bad retries":              {map[string]any{"retries": 1000}, "endpoint.retries", "0 to 100"},
		"bad stall timeout":        {map[string]any{"stall_timeout": "1ms"}, "endpoint.stall_timeout", "at least 1s"},
		"unknown field":            {map[string]any{"colour": "red"}, "endpoint.colour", "is not a field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields := map[string]any{"url": "https://dav.example/backups/"}
			for k, v := range c.change {
				fields[k] = v
			}
			b, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			_, err = webdav.Plugin().OpenStore(t.Context(), b, nil)
			if c.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, shield.Invalid, c.field, c.says)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q has what is secret", err)
			}
		})
	}
}

// TestCapabilities: a call reaches its folder and its proxy, and nothing else.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	info, err := webdav.Plugin().Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		t.Fatal(err)
	}
	for endpoint, want := range map[string]plugin.Capabilities{
		`{"url":"https://dav.example/b/"}`:                                  {HTTP: []string{"https://dav.example/b/"}},
		`{"url":"http://dav.example:8080","proxy":"http://p.example:3128"}`: {HTTP: []string{"http://dav.example:8080"}, TCP: []string{"p.example:3128"}},
	} {
		e, err := info.Resolve(plugin.RoleStore, shield.Endpoint(endpoint))
		if err != nil {
			t.Fatal(err)
		}
		c, err := wanted.Resolve(e)
		want.Memory = c.Memory
		if diff := cmp.Diff(want, c); diff != "" || err != nil {
			t.Errorf("(-want +got): %s%v", diff, err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	temp := webdav.TempName("shield/2026/01/31/20260131T040000Z-a-b")
	folder, name, ok := strings.Cut(temp, webdav.TempPrefix)
	if folder != "shield/2026/01/31/" || !ok || strings.Contains(name, "/") {
		t.Errorf("the temporary name is %q", temp)
	}
	name = webdav.TempPrefix + name
	for of, want := range map[string]bool{"20260131T040000Z-a-b": true, "a-b": false, "b": false, "": false} {
		if webdav.IsTempOf(name, of) != want {
			t.Errorf("%q is one of %q: want %t", name, of, want)
		}
	}
	if len(webdav.TempName(strings.Repeat("x", 200))) > 255 {
		t.Error("the temporary name of a long key is too long for file systems")
	}
	for key, good := range map[string]bool{
		"2026/a": true, strings.Repeat("x", 200): true, strings.Repeat("x", 201): false, name: false, "a/" + name + "/b": false, "a//b": false,
	} {
		if err := webdav.CheckKey(key); (err == nil) != good {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// TestDigestVectors: the examples of RFC 7616, 3.9.1, of RFC 2617, 3.5, and
// what its rules make of that without qop.
func TestDigestVectors(t *testing.T) {
	t.Parallel()
	const (
		new7616 = `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%s, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
		old2617 = `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`
	)
	md5, sha := strings.ReplaceAll(new7616, "%s", "MD5"), strings.ReplaceAll(new7616, "%s", "SHA-256")
	for name, c := range map[string]struct {
		password, cnonce string
		challenges       []string
		response         string
	}{
		"MD5":         {"Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", []string{md5}, "8ca523f5e9506fed4657c9700eebdbec"},
		"SHA-256":     {"Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", []string{md5, sha}, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		"in one line": {"Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", []string{"Negotiate abc==, " + sha + `, Basic realm="x"`}, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		"RFC 2617":    {"Circle Of Life", "0a4f113b", []string{old2617 + `, qop="auth-int,auth"`}, "6629fae49393a05397450978507c4ef1"},
		"RFC 2069":    {"Circle Of Life", "0a4f113b", []string{old2617}, "670fd8c2df070c60b045671b8b24ff02"},
		"unknown":     {"Circle Of Life", "x", []string{old2617 + ", algorithm=WHIRLPOOL"}, ""},
		"the body's":  {"Circle Of Life", "x", []string{old2617 + ", qop=auth-int"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := webdav.Authorize("Mufasa", c.password, "GET", "/dir/index.html", c.cnonce, c.challenges...)
			if c.response == "" {
				if header != "" {
					t.Errorf("%q is answered by %q", c.challenges, header)
				}
				return
			}
			got := webdav.Challenges(header)
			if len(got) != 1 || got[0]["response"] != c.response || got[0]["username"] != "Mufasa" || got[0]["uri"] != "/dir/index.html" {
				t.Errorf("%q, want the response %q", header, c.response)
			}
		})
	}
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]map[string]string{
		``:              nil,
		`Basic`:         {{"": "basic"}},
		`BASIC realm=x`: {{"": "basic", "realm": "x"}},
		`,, Basic  , ,`: {{"": "basic"}},
		`a="b"`:         nil,
		`Digest Realm="a, \"b\\", nonce = n,qop="auth,auth-int"`: {{"": "digest", "realm": `a, "b\`, "nonce": "n", "qop": "auth,auth-int"}},
		`Negotiate, Basic realm="x", Bearer`:                     {{"": "negotiate"}, {"": "basic", "realm": "x"}, {"": "bearer"}},
		`Digest realm="never ends`:                               {{"": "digest", "realm": "never ends"}},
	} {
		if diff := cmp.Diff(want, webdav.Challenges(line)); diff != "" {
			t.Errorf("%q (-want +got): %s", line, diff)
		}
	}
}

func TestMultistatus(t *testing.T) {
	t.Parallel()
	const head = `<?xml version="1.0" encoding="utf-8"?>` + "\n"
	at := time.Date(2026, 1, 31, 4, 5, 6, 0, time.UTC)
	for name, c := range map[string]struct {
		text string
		want []webdav.Resource
		says string // of the error
	}{
		"apache": {head + `<D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:"><D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/"><D:href>/dav/a%20b/</D:href>` +
			`<D:propstat><D:prop><lp1:resourcetype><D:collection/></lp1:resourcetype><lp1:getlastmodified>Sat, 31 Jan 2026 04:05:06 GMT</lp1:getlastmodified></D:prop>` +
			`<D:status>HTTP/1.1 200 OK</D:status></D:propstat><D:propstat><D:prop><getcontentlength/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response></D:multistatus>`,
			[]webdav.Resource{webdav.NewResource("/dav/a b", true, -1, at)}, ""},
		"a URL": {`<multistatus xmlns="DAV:"><responsedescription>x</responsedescription><response><href> https://h:1/x/%e6%97%a5 </href><propstat><prop><resourcetype/><getcontentlength> 12 </getcontentlength></prop></propstat></response></multistatus>`,
			[]webdav.Resource{webdav.NewResource("/x/日", false, 12, time.Time{})}, ""},
		"not escaped": {`<multistatus xmlns="DAV:"><response><href>/x/100%</href></response></multistatus>`,
			[]webdav.Resource{webdav.NewResource("/x/100%", false, -1, time.Time{})}, ""},
		"gone":            {`<multistatus xmlns="DAV:"><response><href>/x</href><status>HTTP/1.1 404 Not Found</status></response></multistatus>`, nil, ""},
		"nothing":         {``, nil, "not the list"},
		"another":         {`<html><body/></html>`, nil, "not the list"},
		"no namespace":    {`<multistatus><response/></multistatus>`, nil, "not the list"},
		"cut":             {`<multistatus xmlns="DAV:"><response><href>/x</href></response>`, []webdav.Resource{webdav.NewResource("/x", false, -1, time.Time{})}, "unexpected EOF"},
		"cut in the end":  {`<multistatus xmlns="DAV:"><response><hr`, nil, "unexpected EOF"},
		"a huge resource": {`<multistatus xmlns="DAV:"><response><href>` + strings.Repeat("x", 2<<20) + `</href></response></multistatus>`, nil, "more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := webdav.ParseMultistatus(strings.NewReader(c.text))
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(webdav.Resource{})); diff != "" {
				t.Errorf("(-want +got): %s", diff)
			}
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
}

// TestMultistatusMemory: a long list is taken piece by piece.
func TestMultistatusMemory(t *testing.T) {
	t.Parallel()
	const one = `<response><href>/x</href><propstat><prop><getcontentlength>1</getcontentlength></prop></propstat></response>`
	got, err := webdav.ParseMultistatus(io.MultiReader(strings.NewReader(`<multistatus xmlns="DAV:">`),
		strings.NewReader(strings.Repeat(one, 20_000)), strings.NewReader(`</multistatus>`)))
	if len(got) != 20_000 || err != nil {
		t.Errorf("%d, %v", len(got), err)
	}
}

// TestSource: the body of a request can be given again until more than its
// beginning was given.
func TestSource(t *testing.T) {
	t.Parallel()
	want := plugintest.Bytes(300, 1)
	in := bytes.NewReader(want)
	head, _, err := rest.NewPool(1, 100).Read(t.Context(), in, 1)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	tail := &stream.Reader{Ctx: t.Context(), R: io.MultiReader(in, iotest.ErrReader(broken))}
	s := webdav.NewSource(head, tail)
	if first, _ := io.ReadAll(io.LimitReader(s.Again(), 100)); !bytes.Equal(first, want[:100]) {
		t.Errorf("the beginning has %d bytes", len(first))
	}
	if all, err := io.ReadAll(s.Again()); !bytes.Equal(all, want) || err != nil {
		t.Errorf("all has %d bytes: %v", len(all), err)
	}
	if !errors.Is(tail.Err, broken) {
		t.Errorf("its end was %v", tail.Err)
	}
	if _, err := io.ReadAll(s.Again()); err == nil {
		t.Error("it was given again without its beginning")
	}
}

func FuzzMultistatus(f *testing.F) {
	f.Add([]byte(`<multistatus xmlns="DAV:"><response><href>/x</href><status>HTTP/1.1 200 OK</status><propstat><prop><resourcetype><collection/></resourcetype><getcontentlength>1</getcontentlength></prop></propstat></response></multistatus>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "b">]><multistatus xmlns="DAV:">&b;</multistatus>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		all, _ := webdav.ParseMultistatus(bytes.NewReader(body))
		if len(all) > len(body) {
			t.Errorf("%d resources in %d bytes", len(all), len(body))
		}
	})
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Digest realm="a, \"b\"", nonce=n, qop="auth,auth-int", algorithm=SHA-256-sess, Basic`)
	f.Add(`Negotiate YII==, =,"`)
	f.Fuzz(func(t *testing.T, line string) {
		_ = webdav.Challenges(line)
		if strings.ContainsAny(line, "\r\n") {
			return // no header has them
		}
		if a := webdav.Authorize("u", "secret-p", "GET", "/", "c", line); strings.Contains(a, "secret-p") && !strings.Contains(line, "secret-p") {
			t.Errorf("%q has the password", a)
		}
	})
}
