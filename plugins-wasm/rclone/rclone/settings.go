package rclone

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// place is what the command line calls the remote: an alias that the
// environment defines, so that nothing of the remote is on the command line.
const place = "shieldplace:"

// grace is how long rclone has to abort its uploads when it is told to end:
// less than the plugin itself has.
const grace = 3 * time.Second

// retriesLimit is more than anybody needs.
const retriesLimit = 1000

// program returns rclone with what all of its runs have.
func program(c *config, log plugin.Log) (*child.Program, error) {
	p := &child.Program{
		Name: "rclone", Path: c.Rclone, Field: "rclone", Package: "rclone",
		Env: []string{
			"RCLONE_CONFIG_SHIELDPLACE_TYPE=alias", "RCLONE_CONFIG_SHIELDPLACE_REMOTE=" + c.Remote,
			"RCLONE_CONFIG_PASS=" + c.Password,
		},
		Secrets: secrets(c), Grace: grace, Log: log,
	}
	if c.Config != "" {
		p.Files = map[string]string{"rclone.conf": c.Config}
	}
	var err error
	p.Stall, err = duration("stall_timeout", c.StallTimeout)
	return p, err
}

// secrets are the values of the configuration that rclone might quote.
func secrets(c *config) []string {
	found := []string{c.Password}
	for line := range strings.Lines(c.Config) {
		name, value, ok := strings.Cut(line, "=")
		if value = strings.TrimSpace(value); ok && telling.MatchString(name) && len(value) > 3 {
			found = append(found, value)
		}
	}
	return found
}

// telling matches the names of options that are secrets.
var telling = regexp.MustCompile(`(?i)pass|secret|token|key|credential|sas_`)

// global returns the flags that all runs have.
func global(c *config) ([]string, error) {
	connect, err := duration("connect_timeout", c.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	io, err := duration("io_timeout", c.IOTimeout)
	if err != nil {
		return nil, err
	}
	if c.Retries < 1 || c.Retries > retriesLimit {
		return nil, shield.FieldErrorf("endpoint.retries", "is %d: 1 to %d are wanted", c.Retries, retriesLimit)
	}
	flags := []string{
		"--ask-password=false", "--log-format=", "--retries=1", "--low-level-retries=" + strconv.Itoa(c.Retries),
		"--contimeout=" + connect.String(), "--timeout=" + io.String(),
	}
	switch {
	case c.Config != "" && c.ConfigFile != "":
		return nil, shield.FieldErrorf("endpoint.config_file", "and config are both set: one of them is wanted")
	case c.Config != "":
		flags = append(flags, "--config=./rclone.conf")
	case c.ConfigFile != "":
		if _, err := os.Stat(c.ConfigFile); err != nil {
			return nil, shield.FieldErrorf("endpoint.config_file", "cannot be used: %v", err)
		}
		flags = append(flags, "--config="+c.ConfigFile)
	default:
		flags = append(flags, "--config="+os.DevNull)
	}
	if c.Bandwidth != "" {
		if !timetable.MatchString(c.Bandwidth) {
			return nil, shield.FieldErrorf("endpoint.bandwidth", "is %q: a limit like 2M or a timetable like 08:00,2M 19:00,off is wanted", c.Bandwidth)
		}
		flags = append(flags, "--bwlimit="+c.Bandwidth)
	}
	further, err := checkFlags(c.Flags)
	return append(flags, further...), err
}

// timetable matches what --bwlimit takes: limits, of one or both directions,
// with times before them.
var timetable = regexp.MustCompile(`^((([A-Za-z]{3}-)?\d\d:\d\d,)?[0-9A-Za-z.]+(:[0-9A-Za-z.]+)?( |$))+$`)

func duration(field, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return 0, shield.FieldErrorf("endpoint."+field, "is %q: a duration of at least 1s is wanted, like 2m", text)
	}
	return d, nil
}

// allowed are the flags that an endpoint may set: none of them runs a program,
// reads or writes a file of its own choice except certificates, shows secrets,
// or changes what a command does. It is never written to.
var allowed = []string{
	"bind", "buffer-size", "ca-cert", "checkers", "client-cert", "client-key", "disable", "disable-http2",
	"disable-http-keep-alives", "dscp", "expect-continue-timeout", "fast-list", "max-backlog", "multi-thread-streams",
	"no-check-certificate", "no-gzip-encoding", "retries-sleep", "streaming-upload-cutoff", "tpslimit",
	"tpslimit-burst", "transfers", "use-cookies", "use-mmap", "use-server-modtime", "user-agent",
}

// checkFlags splits the flags of an endpoint and refuses those that it may not
// set.
func checkFlags(text string) ([]string, error) {
	flags, err := tool.SplitOptions(text)
	if err != nil {
		return nil, shield.FieldErrorf("endpoint.flags", "%v", err)
	}
	for _, f := range flags {
		name, _, _ := strings.Cut(f, "=")
		if bare, ok := strings.CutPrefix(name, "--"); !ok || !slices.Contains(allowed, bare) {
			return nil, shield.FieldErrorf("endpoint.flags", "has %q: what may be set, as --NAME or --NAME=VALUE, is %s", name, strings.Join(allowed, ", "))
		}
	}
	return flags, nil
}

// checkRemote refuses what is no remote, and one with a secret in it, since
// the field is shown.
func checkRemote(remote string) error {
	bad := func(format string, args ...any) error {
		return shield.FieldErrorf("endpoint.remote", format, args...)
	}
	if !strings.Contains(remote, ":") && !strings.HasPrefix(remote, "/") {
		return bad("is %q: NAME:PATH, :BACKEND,OPTIONS:PATH or an absolute path is wanted", remote)
	}
	head, options, _ := strings.Cut(remote, ",")
	if strings.Contains(head, "/") {
		return nil // the comma is part of a path
	}
	for o := range strings.SplitSeq(options, ",") {
		name, value, ok := strings.Cut(o, "=")
		if ok && value != "" && telling.MatchString(name) && !strings.HasSuffix(name, "_file") {
			return bad("has the option %s, which looks like a secret and would be shown: put it into config", name)
		}
	}
	return nil
}
