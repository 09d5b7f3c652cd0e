package webdav

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// The values of the field auth, and what else there is.
const (
	authAuto   = "auto"
	authBasic  = "basic"
	authDigest = "digest"
	authBearer = "bearer"
	authNone   = "none"
)

// An auth proves who sends the requests of one operation, which are made one
// after the other.
type auth struct {
	kind           string // as chosen, authAuto as long as the server has not been asked
	user, password string
	token          string
	digest         *digest
	good           bool // the server has taken what was proved last
	proved         bool // the last request had a proof
}

func newAuth(c *config) auth {
	switch {
	case c.Token != "":
		return auth{kind: authBearer, token: c.Token}
	case c.Username != "":
		return auth{kind: c.Auth, user: c.Username, password: c.Password}
	}
	return auth{kind: authNone}
}

// sign adds the proof, if it is known which one is wanted.
func (a *auth) sign(r *http.Request) {
	a.proved = true
	switch {
	case a.kind == authBearer:
		r.Header.Set("Authorization", "Bearer "+a.token)
	case a.kind == authBasic:
		r.SetBasicAuth(a.user, a.password)
	case a.digest != nil:
		r.Header.Set("Authorization", a.digest.authorize(a.user, a.password, r.Method, r.URL.RequestURI(), rand.Text()))
	default:
		a.proved = false
	}
}

// note takes note of what an answer says: whether the proof was taken, and
// which nonce to use next.
func (a *auth) note(status int, h http.Header) {
	if status != http.StatusUnauthorized {
		a.good = a.good || a.proved
	}
	if a.digest == nil {
		return
	}
	if next := parseParams(h.Get("Authentication-Info"))["nextnonce"]; next != "" && next != a.digest.nonce {
		a.digest.nonce, a.digest.uses = next, 0
	}
}

// learn chooses a proof by the challenges of an answer that has refused the
// last one, or its lack. It reports whether another try makes sense.
func (a *auth) learn(h http.Header) bool {
	if a.kind == authNone || a.kind == authBearer || a.kind == authBasic {
		return false
	}
	var best *digest
	basic, stale := false, false
	for _, c := range parseChallenges(h.Values("WWW-Authenticate")) {
		if d := newDigest(c); d != nil && (best == nil || d.strength() > best.strength()) {
			best, stale = d, strings.EqualFold(c.params["stale"], "true")
		}
		basic = basic || c.scheme == authBasic
	}
	had := a.digest
	switch {
	case best != nil:
		a.digest = best
		// A nonce that was good is refused when the server has forgotten it,
		// or counts it as used up; the password has not changed.
		fresh := had == nil || stale || a.good
		a.good = false
		return fresh
	case basic && a.kind == authAuto:
		a.kind = authBasic
		return true
	}
	return false
}

// refusal says why a proof was refused.
func (a *auth) refusal(h http.Header) string {
	var offered []string
	for _, c := range parseChallenges(h.Values("WWW-Authenticate")) {
		offered = append(offered, c.scheme)
	}
	switch {
	case a.proved && a.kind == authBearer:
		return "the token is wrong, has expired, or may not do this"
	case a.proved:
		return "user name or password is wrong, has expired, or may not do this"
	case a.kind == authNone && len(offered) > 0:
		return "the server wants credentials, and there are none: " + strings.Join(offered, " or ")
	case a.kind == authNone:
		return "the server wants credentials, and there are none"
	}
	return "the server offers no authentication that is supported or allowed: " + strings.Join(offered, ", ")
}
