//go:build linux

package testserver

import (
	"cmp"
	"context"
	"crypto/md5" // the form of Apache's password file
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A WebDAV is a running WebDAV server over an empty folder.
type WebDAV struct {
	*Process
	URL      string // of the folder
	Addr     string // host:port
	Folder   string // where its files are
	User     string
	Password string
}

// WebDAVOptions are the settings of a server. nil is none of them.
type WebDAVOptions struct {
	// Certificate and Key, in PEM form and for 127.0.0.1, have it speak TLS.
	Certificate, Key string
	// ClientCA, in PEM form, has Apache ask clients for a certificate that it
	// has issued.
	ClientCA string
	// Apache is put into Apache's configuration of the folder, in place of
	// "Require valid-user".
	Apache string
}

func newWebDAV(t testing.TB, o *WebDAVOptions) (w *WebDAV, dir string) {
	t.Helper()
	dir = Dir(t)
	w = &WebDAV{Addr: "127.0.0.1:" + strconv.Itoa(Port(t)), Folder: filepath.Join(dir, "dav"), User: "shield", Password: "dav-\"pw\\"}
	w.URL = "http://" + w.Addr + "/dav"
	if o.Certificate != "" {
		w.URL = "https://" + w.Addr + "/dav"
		write(t, filepath.Join(dir, "cert.pem"), o.Certificate)
		write(t, filepath.Join(dir, "key.pem"), o.Key)
	}
	if err := os.MkdirAll(w.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return w, dir
}

// ready waits for any answer: those without a password are refused.
func (w *WebDAV) ready() func(context.Context) error {
	// Whom the test trusts does not matter here.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodOptions, w.URL+"/", nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err == nil {
			_ = answer.Body.Close()
		} else if strings.Contains(err.Error(), "certificate required") {
			return nil
		}
		return err
	}
}

// StartRcloneDAV runs rclone as a WebDAV server with basic authentication.
func StartRcloneDAV(t testing.TB, o *WebDAVOptions) *WebDAV {
	t.Helper()
	if o == nil {
		o = &WebDAVOptions{}
	}
	path := Tool(t, "rclone")
	w, dir := newWebDAV(t, o)
	args := []string{
		"serve", "webdav", w.Folder, "--config", "/dev/null", "--addr", w.Addr, "--baseurl", "/dav", "--user", w.User,
		"--dir-cache-time", "0s", "--poll-interval", "0", "--cache-dir", filepath.Join(dir, "cache"),
	}
	if o.Certificate != "" {
		args = append(args, "--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"))
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "RCLONE_PASS="+w.Password)
	w.Process = Start(t, cmd, w.ready())
	return w
}

// StartApacheDAV runs Apache with mod_dav and digest authentication.
func StartApacheDAV(t testing.TB, o *WebDAVOptions) *WebDAV {
	t.Helper()
	if o == nil {
		o = &WebDAVOptions{}
	}
	path := Tool(t, "/usr/sbin/apache2")
	w, dir := newWebDAV(t, o)
	const realm = "shield, test=1"
	sum := md5.Sum([]byte(w.User + ":" + realm + ":" + w.Password))
	write(t, filepath.Join(dir, "passwords"), fmt.Sprintf("%s:%s:%x\n", w.User, realm, sum))
	conf := filepath.Join(dir, "apache.conf")
	write(t, conf, w.apache(t, dir, realm, o))
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-d", dir, "-f", conf, "-DFOREGROUND")
	var all []string
	_ = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		all = append(all, name)
		return err
	})
	As(t, cmd, "www-data", all...)
	w.Process = Start(t, cmd, w.ready())
	return w
}

// apache returns the configuration.
func (w *WebDAV) apache(t testing.TB, dir, realm string, o *WebDAVOptions) string {
	t.Helper()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	modules := []string{"mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_digest", "dav", "dav_fs", "alias", "reqtimeout"}
	if o.Certificate != "" {
		modules = append(modules, "socache_shmcb", "ssl")
	}
	for _, m := range modules {
		line("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so", m, m)
	}
	line("ServerName 127.0.0.1\nListen %s\nDocumentRoot %s/run\nDefaultRuntimeDir %s/run\nPidFile %s/run/pid\nMutex file:%s/run default", w.Addr, dir, dir, dir, dir)
	line("ErrorLog |/bin/cat\nLogLevel warn\nStartServers 1\nServerLimit 2\nThreadsPerChild 32\nMaxRequestWorkers 64\nMinSpareThreads 1\nMaxSpareThreads 64")
	line("DavLockDB %s/run/locks\nAlias /dav %s", dir, w.Folder)
	if o.Certificate != "" {
		line("SSLEngine on\nSSLCertificateFile %s/cert.pem\nSSLCertificateKeyFile %s/key.pem", dir, dir)
	}
	if o.ClientCA != "" {
		write(t, filepath.Join(dir, "client.pem"), o.ClientCA)
		line("SSLCACertificateFile %s/client.pem\nSSLVerifyClient require", dir)
	}
	line("<Directory />\nRequire all denied\n</Directory>\n<Directory %s>\nDav On", w.Folder)
	line("AuthType Digest\nAuthName %q\nAuthDigestProvider file\nAuthUserFile %s/passwords", realm, dir)
	line("%s\n</Directory>", cmp.Or(o.Apache, "Require valid-user"))
	return b.String()
}

// Files returns the paths of all files that the server holds, without those
// that Apache keeps for itself.
func (w *WebDAV) Files(t testing.TB) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(w.Folder, func(name string, e fs.DirEntry, err error) error {
		if e != nil && e.Name() == ".DAV" {
			return filepath.SkipDir
		}
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(w.Folder, name)
			all = append(all, rel)
		}
		if os.IsNotExist(err) {
			return nil // removed meanwhile
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Roots returns what trusts a certificate authority alone.
func Roots(t testing.TB, ca string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ca)) {
		t.Fatal("the authority's certificate cannot be read")
	}
	return pool
}
