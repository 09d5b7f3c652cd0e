package rclone

import (
	"errors"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// The exit statuses of rclone that say more than that it has failed:
// https://rclone.org/docs/#exit-code
const (
	exitNoFolder  = 3
	exitNoFile    = 4
	exitTemporary = 5
)

// rules classify what rclone says. The first that fits counts. It is never
// written to.
var rules = []struct {
	code  shield.Code
	field string
	texts []string
}{
	{shield.Invalid, "endpoint.remote", []string{"didn't find section in config file", "didn't find backend called", "doesn't exist in config", "invalid characters in remote"}},
	{shield.Invalid, "endpoint.flags", []string{"unknown flag", "invalid argument \""}},
	{shield.Invalid, "key", []string{"file name too long", "name too long", "filename too long"}},
	{shield.Unauthorized, "endpoint.password", []string{"couldn't decrypt configuration", "unable to decrypt configuration"}},
	{shield.Invalid, "endpoint.config", []string{"failed to load config", "is not a valid config"}},
	{shield.Unauthorized, "", []string{
		"wrong password", "invalidaccesskeyid", "signaturedoesnotmatch", "authenticationfailed",
		"unauthorized", "unauthenticated", "unable to authenticate", "login incorrect", "401 unauthorized", "token has expired", "token expired", "invalid_grant", "couldn't fetch token",
		"failed to decrypt", "password is incorrect",
	}},
	{shield.Forbidden, "", []string{"accessdenied", "access denied", "permission denied", "forbidden", "read-only file system", "operation not permitted"}},
	{shield.StoreFailed, "", []string{"no space left on device", "quota", "insufficient storage"}},
	{shield.Corrupt, "", []string{"corrupted on transfer", "bad magic", "failed to authenticate decrypted block", "not an encrypted file", "file has truncated block"}},
	{shield.Unavailable, "", []string{
		"connection refused", "connection reset", "no such host", "i/o timeout", "no route to host", "network is unreachable", "timeout exceeded", "deadline exceeded",
		"broken pipe", "server misbehaving", "slowdown", "slow down", "too many requests", "500 internal", "502 bad gateway", "503 service", "service unavailable", "504 gateway", "unexpected eof",
	}},
}

// problem makes an error of shield's of that of a run. op says what was done.
func problem(op string, err error) error {
	var f *child.Failure
	if !errors.As(err, &f) {
		return err
	}
	for _, r := range rules {
		if f.Says(r.texts...) {
			return &shield.Error{Code: r.code, Op: op, Field: r.field, Message: f.Error()}
		}
	}
	code := shield.StoreFailed
	switch f.Status {
	case exitNoFolder, exitNoFile:
		code = shield.NotFound
	case exitTemporary:
		code = shield.Unavailable
	}
	return &shield.Error{Code: code, Op: op, Message: f.Error()}
}

// missing reports whether a run has failed since what it wanted is not there.
func missing(err error) bool {
	var f *child.Failure
	return errors.As(err, &f) && (f.Status == exitNoFolder || f.Status == exitNoFile)
}
