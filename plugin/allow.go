package plugin

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

// MayDial reports whether resolved capabilities allow a connection to
// "host:port". Addresses are compared as addresses, whatever way they are
// written, and names without regard to case.
func (c *Capabilities) MayDial(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return false
	}
	return slices.ContainsFunc(c.TCP, func(entry string) bool {
		h, p, err := net.SplitHostPort(entry)
		return err == nil && (p == "*" || p == port) && (h == "*" || sameHost(h, host))
	})
}

func sameHost(a, b string) bool { return CanonicalHost(a) == CanonicalHost(b) }

// CanonicalHost returns the one way of writing a host: an IPv4 address that
// is wrapped into an IPv6 one is unwrapped, a name is in lower case and
// without a dot at its end.
func CanonicalHost(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// MayRequest reports whether resolved capabilities allow an HTTP request.
func (c *Capabilities) MayRequest(u *url.URL) bool {
	if u.Opaque != "" || !plainPath(u.EscapedPath()) {
		return false
	}
	return slices.ContainsFunc(c.HTTP, func(entry string) bool {
		e, err := url.Parse(entry)
		return err == nil && e.Scheme == u.Scheme && portOf(e) == portOf(u) && coversHost(e.Hostname(), u.Hostname()) && below(e.EscapedPath(), u.EscapedPath())
	})
}

// plainPath refuses what servers disagree about, and so could lead out of the
// path that was granted.
func plainPath(p string) bool {
	lower := strings.ToLower(p)
	if strings.Contains(lower, "%2e") || strings.Contains(lower, "%5c") || strings.Contains(lower, `\`) {
		return false
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(lower, "%2f", "/"), "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return true
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return defaultPorts[u.Scheme]
}

func coversHost(pattern, host string) bool {
	if rest, ok := strings.CutPrefix(pattern, "*"); ok {
		return rest == "" || strings.HasPrefix(rest, ".") && strings.HasSuffix(CanonicalHost(host), strings.ToLower(rest))
	}
	return sameHost(pattern, host)
}

// below reports whether a path is folder or lies below it.
func below(folder, p string) bool {
	folder = strings.TrimSuffix(folder, "/")
	return p == folder || strings.HasPrefix(p, folder+"/") || folder == "" && p == ""
}

// MayRead returns the folder of resolved capabilities that holds p, a folder
// that may be read, and whether there is one. The widest one is returned.
func (c *Capabilities) MayRead(p string) (string, bool) {
	return widest(append(slices.Clone(c.Read), append(c.Write, c.Own...)...), p)
}

// MayWrite is MayRead for folders that may be written.
func (c *Capabilities) MayWrite(p string) (string, bool) {
	return widest(append(slices.Clone(c.Write), c.Own...), p)
}

// MayOwn is MayRead for folders whose owners may be set.
func (c *Capabilities) MayOwn(p string) (string, bool) { return widest(c.Own, p) }

func widest(folders []string, p string) (best string, ok bool) {
	for _, f := range folders {
		if below(path.Clean(f), p) && (!ok || len(f) < len(best)) {
			best, ok = f, true
		}
	}
	return best, ok
}

// MayExec reports whether a command may be run: one by its name, or, by its
// path, one of a folder that a field names.
func (c *Capabilities) MayExec(name string) bool { return slices.Contains(c.Exec, name) }
