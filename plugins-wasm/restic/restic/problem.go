package restic

import (
	"errors"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// The exit statuses of restic 0.17 and later that tell what was wrong. Older
// ones say it in words only.
const (
	exitNoRepository  = 10
	exitLocked        = 11
	exitWrongPassword = 12
)

// rules classify what restic says. The first that fits counts. It is never
// written to.
var rules = []struct {
	code  shield.Code
	field string
	texts []string
}{
	{shield.Unauthorized, "endpoint.password", []string{"wrong password", "no key found", "an empty password"}},
	{shield.Invalid, "endpoint.repository", []string{"is there a repository at the following location", "repository does not exist", "invalid backend", "unknown backend"}},
	{shield.Corrupt, "", []string{
		"ciphertext verification failed", "invalid data returned", "hash does not match", "does not match id", "not found in index", "no id found",
		"wrong data", "load <data/", "load <index/", "load <snapshot/", "unable to load blob", "not found in repository", "loading blob", "decompress",
	}},
	{shield.Unauthorized, "", []string{"invalidaccesskeyid", "access key id you provided", "signaturedoesnotmatch", "authenticationfailed", "401 unauthorized", "unauthorized", "permission denied (publickey", "no credentials"}},
	{shield.Forbidden, "", []string{"access denied", "accessdenied", "permission denied", "403 forbidden", "read-only file system", "operation not permitted"}},
	{shield.StoreFailed, "", []string{"no space left on device", "quota"}},
	{shield.Unavailable, "", []string{
		"connection refused", "connection reset", "no such host", "i/o timeout", "no route to host", "network is unreachable", "deadline exceeded", "broken pipe",
		"server misbehaving", "slowdown", "slow down", "too many requests", "500 internal", "502 bad gateway", "503 service", "504 gateway", "ssh command exited",
	}},
}

// problem makes an error of shield's of that of a run. op says what was done.
func problem(op string, err error) error {
	var f *child.Failure
	if !errors.As(err, &f) {
		return err
	}
	e := &shield.Error{Code: shield.StoreFailed, Op: op, Message: f.Error()}
	switch {
	case locked(err):
		e.Code = shield.Unavailable
		for _, line := range f.Lines {
			if strings.Contains(line, "already locked") { // and not what follows
				e.Message = f.Name + ": " + line
			}
		}
		return e
	case f.Status == exitWrongPassword:
		e.Code, e.Field = shield.Unauthorized, "endpoint.password"
		return e
	case absent(err):
		e.Code, e.Field = shield.Invalid, "endpoint.repository"
		e.Message += "; init makes one"
		return e
	}
	for _, r := range rules {
		if f.Says(r.texts...) {
			e.Code, e.Field = r.code, r.field
			break
		}
	}
	return e
}

// locked reports whether a run has failed since somebody else uses the
// repository.
func locked(err error) bool {
	var f *child.Failure
	return errors.As(err, &f) && (f.Status == exitLocked || f.Says("repository is already locked"))
}

// absent reports whether a run has failed since there is no repository.
func absent(err error) bool {
	var f *child.Failure
	return errors.As(err, &f) && (f.Status == exitNoRepository || f.Says("is there a repository at the following location"))
}
