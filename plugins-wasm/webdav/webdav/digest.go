package webdav

import (
	"crypto/md5" // what most servers still ask for
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// A digest proves that we know a password without sending it. The server gives
// a nonce, of which each use is counted.
// https://www.rfc-editor.org/rfc/rfc7616
type digest struct {
	realm, nonce, opaque string
	algorithm            string // as the server spells it
	qop                  bool   // uses are counted, as all but very old servers want
	userHash             bool
	uses                 uint32
}

// newDigest returns the digest that a challenge asks for, nil if it is none
// that we know.
func newDigest(c challenge) *digest {
	d := &digest{
		realm: c.params["realm"], nonce: c.params["nonce"], opaque: c.params["opaque"], algorithm: c.params["algorithm"],
		userHash: strings.EqualFold(c.params["userhash"], "true"),
	}
	if c.scheme != authDigest || d.nonce == "" || d.hash() == nil {
		return nil
	}
	for q := range strings.SplitSeq(c.params["qop"], ",") {
		d.qop = d.qop || strings.EqualFold(strings.TrimSpace(q), "auth")
	}
	if !d.qop && c.params["qop"] != "" {
		return nil // only auth-int, which covers the body
	}
	return d
}

// strength orders what a server offers.
func (d *digest) strength() int {
	if strings.HasPrefix(strings.ToUpper(d.algorithm), "SHA-256") {
		return 2
	}
	return 1
}

func (d *digest) hash() func() hash.Hash {
	switch strings.ToUpper(d.algorithm) {
	case "", "MD5", "MD5-SESS":
		return md5.New
	case "SHA-256", "SHA-256-SESS":
		return sha256.New
	}
	return nil
}

func (d *digest) sum(parts ...string) string {
	h := d.hash()()
	_, _ = h.Write([]byte(strings.Join(parts, ":"))) // hashes do not fail
	return hex.EncodeToString(h.Sum(nil))
}

// authorize returns the value of the header Authorization for one request.
// cnonce is a text that nobody can foresee.
func (d *digest) authorize(user, password, method, uri, cnonce string) string {
	d.uses++
	count := fmt.Sprintf("%08x", d.uses)
	secret := d.sum(user, d.realm, password)
	if strings.HasSuffix(strings.ToUpper(d.algorithm), "-SESS") {
		secret = d.sum(secret, d.nonce, cnonce)
	}
	request := d.sum(method, uri)
	name := user
	if d.userHash {
		name = d.sum(user, d.realm)
	}
	parts := []string{"username=" + quote(name), "realm=" + quote(d.realm), "nonce=" + quote(d.nonce), "uri=" + quote(uri)}
	if d.qop {
		parts = append(parts, "response="+quote(d.sum(secret, d.nonce, count, cnonce, "auth", request)),
			"qop=auth", "nc="+count, "cnonce="+quote(cnonce))
	} else {
		parts = append(parts, "response="+quote(d.sum(secret, d.nonce, request)))
		if strings.HasSuffix(strings.ToUpper(d.algorithm), "-SESS") {
			parts = append(parts, "cnonce="+quote(cnonce))
		}
	}
	if d.algorithm != "" {
		parts = append(parts, "algorithm="+d.algorithm)
	}
	if d.opaque != "" {
		parts = append(parts, "opaque="+quote(d.opaque))
	}
	if d.userHash {
		parts = append(parts, "userhash=true")
	}
	return "Digest " + strings.Join(parts, ", ")
}
