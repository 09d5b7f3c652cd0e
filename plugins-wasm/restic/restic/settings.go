package restic

import (
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// grace is how long restic has to remove its lock when it is told to end: less
// than the plugin itself has.
const grace = 3 * time.Second

// program returns restic with what all of its runs have. What is secret goes
// by its environment.
func program(c *config, log plugin.Log) (*child.Program, error) {
	p := &child.Program{
		Name: "restic", Path: c.Restic, Field: "restic", Package: "restic", Grace: grace, Log: log,
		Secrets: []string{c.Password, c.RestPassword},
		// Without a rate restic would say every moment how far it is, and look
		// busy when it hangs.
		Env: []string{"RESTIC_PROGRESS_FPS=0.0001", "RESTIC_COMPRESSION=" + c.Compression},
	}
	repository, err := location(c)
	if err != nil {
		return nil, err
	}
	p.Env = append(p.Env, "RESTIC_REPOSITORY="+repository)
	switch {
	case c.Password != "" && c.PasswordFile != "":
		return nil, shield.FieldErrorf("endpoint.password_file", "and password are both set: one of them is wanted")
	case c.Password != "":
		p.Env = append(p.Env, "RESTIC_PASSWORD="+c.Password)
	case c.PasswordFile != "":
		if _, err := os.Stat(c.PasswordFile); err != nil {
			return nil, shield.FieldErrorf("endpoint.password_file", "cannot be used: %v", err)
		}
		p.Env = append(p.Env, "RESTIC_PASSWORD_FILE="+c.PasswordFile)
	default:
		return nil, shield.FieldErrorf("endpoint.password", "is missing: it, or password_file, is wanted")
	}
	env, err := variables(c.Env)
	if err != nil {
		return nil, err
	}
	for _, v := range env {
		if _, value, _ := strings.Cut(v, "="); len(value) > 7 {
			p.Secrets = append(p.Secrets, value)
		}
	}
	p.Env = append(p.Env, env...)
	if c.CA != "" {
		p.Files = map[string]string{"ca.pem": c.CA}
	}
	p.Stall, err = duration("stall_timeout", c.StallTimeout)
	return p, err
}

// location returns the repository with the credentials of a REST server, which
// are not to stand in the field, since that is shown.
func location(c *config) (string, error) {
	bad := func(format string, args ...any) error {
		return shield.FieldErrorf("endpoint.repository", format, args...)
	}
	if c.Repository == "" {
		return "", bad("is missing: a path or a place like sftp:user@host:/path is wanted")
	}
	if strings.HasPrefix(c.Repository, "-") {
		return "", bad("begins with a dash")
	}
	rest, ok := strings.CutPrefix(c.Repository, "rest:")
	if !ok {
		if c.RestUser != "" || c.RestPassword != "" {
			return "", shield.FieldErrorf("endpoint.rest_user", "is for repositories that begin with rest: only")
		}
		return c.Repository, nil
	}
	u, err := url.Parse(rest)
	if err != nil || u.Host == "" {
		return "", bad("is no rest:https://host:port/path")
	}
	if u.User != nil {
		return "", bad("has a user, which would be shown: rest_user and rest_password are for that")
	}
	if c.RestUser != "" || c.RestPassword != "" {
		u.User = url.UserPassword(c.RestUser, c.RestPassword)
	}
	return "rest:" + u.String(), nil
}

// credential matches the variables that an endpoint may set: none that makes a
// program run another one.
var credential = regexp.MustCompile(`^(((AWS|AZURE|B2|GOOGLE|OS|ST)_[A-Z0-9_]+)|(HTTP|HTTPS|NO|ALL)_PROXY|(http|https|no|all)_proxy|RESTIC_(PACK_SIZE|READ_CONCURRENCY))$`)

// variables reads the field env.
func variables(text string) ([]string, error) {
	var env []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if !ok || !credential.MatchString(name) {
			return nil, shield.FieldErrorf("endpoint.env", "has a line that sets none of AWS_*, AZURE_*, B2_*, GOOGLE_*, OS_*, ST_*, HTTP_PROXY, HTTPS_PROXY, NO_PROXY, RESTIC_PACK_SIZE: NAME=VALUE is wanted")
		}
		env = append(env, line)
	}
	return env, nil
}

// global returns the flags that all runs have.
func global(c *config) ([]string, error) {
	var flags []string
	for _, l := range []struct {
		name  string
		value int
	}{{"upload", c.UploadLimit}, {"download", c.DownloadLimit}} {
		if l.value < 0 {
			return nil, shield.FieldErrorf("endpoint."+l.name+"_limit", "is %d: KiB a second are wanted, or 0 for no limit", l.value)
		}
		if l.value > 0 {
			flags = append(flags, "--limit-"+l.name+"="+strconv.Itoa(l.value))
		}
	}
	if c.CacheDir != "" {
		flags = append(flags, "--cache-dir="+c.CacheDir)
	}
	if c.CA != "" {
		flags = append(flags, "--cacert=./ca.pem")
	}
	for name, value := range map[string]string{"tag": c.Tag, "host": c.Host} {
		if strings.ContainsAny(value, ", \t\n") || strings.HasPrefix(value, "shield-") || name == "host" && value == "" {
			return nil, shield.FieldErrorf("endpoint."+name, "is %q: a word without commas that does not begin with shield- is wanted", value)
		}
	}
	return flags, nil
}

func duration(field, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return 0, shield.FieldErrorf("endpoint."+field, "is %q: a duration of at least 1s is wanted, like 2m", text)
	}
	return d, nil
}
