package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarded returns a request as from the client itself, where a proxy that is
// believed has passed it on. Each proxy writes down, behind what it was told, who
// connected to it: so the last address that is not a proxy's is the client's, and
// all before that is what the client says.
func (s *Server) forwarded(req *http.Request) *http.Request {
	if len(s.opts.Proxies) == 0 {
		return req
	}
	at, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil || !s.trusts(at.Addr()) {
		return req
	}
	client := at
	hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		from, ok := hopOf(strings.TrimSpace(hop))
		if !ok {
			break // of what is no address, nobody knows who wrote it
		}
		client = from
		if !s.trusts(from.Addr()) {
			break
		}
	}
	if client == at {
		return req
	}
	r := *req
	r.RemoteAddr = client.String()
	return &r
}

// trusts reports whether an address is that of a proxy.
func (s *Server) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(s.opts.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// hopOf reads one address of X-Forwarded-For, to which some proxies add the port.
func hopOf(text string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a, true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return netip.AddrPortFrom(a, 0), err == nil
}
