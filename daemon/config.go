// Package daemon opens the default system from one Config: catalog, keys,
// plugins, runner, scheduler and HTTP API. cmd/shieldd is a thin shell around
// it; programs that embed the whole of shield use it too.
package daemon

import (
	"cmp"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// DefaultListen is the address of the API.
const DefaultListen = "127.0.0.1:7643"

// DefaultAttempts is how often a scheduled backup is tried in all.
const DefaultAttempts = 3

// Sandboxing says how the bundled plugins are run.
type Sandboxing int

const (
	// SandboxNever runs them as they are compiled in.
	SandboxNever Sandboxing = iota
	// SandboxBuilt runs them as modules if the program was built with these,
	// and else as they are compiled in, which the log says.
	SandboxBuilt
	// SandboxAlways refuses to open a daemon without modules.
	SandboxAlways
)

// Config says how a daemon is to be opened. Only Data is required.
type Config struct {
	// Data is the folder that holds catalog, keys and token. It is made if
	// it is not there, and belongs to one daemon at a time.
	Data string
	// Listen is the address of the API. Beyond loopback it is refused without
	// TLS, unless Insecure is set.
	Listen   string
	Insecure bool
	// TLSCert and TLSKey are files in PEM: the certificate of the API, with
	// those that it is signed by, and its key. They are read again when they
	// change. Without them the API speaks plain HTTP.
	TLSCert, TLSKey string
	// PluginDirs are folders whose executables are plugins, named after
	// their files.
	PluginDirs []string
	// Sandbox says whether the bundled plugins run as modules in the sandbox,
	// or as they are compiled in.
	Sandbox Sandboxing
	// Cache is the folder of compiled modules; empty means one in Data. It
	// holds native code: whoever can write there owns the daemon.
	Cache string
	// CompileApart has modules compiled by this program, run again with the
	// arguments "plugin-run ...": for programs that call wasmhost.RunIsolated
	// then. It keeps the memory of the compiler out of the daemon.
	CompileApart bool
	// Plugins are more plugins, compiled in, by name. One with the name of a
	// bundled plugin takes its place.
	Plugins map[string]plugin.Opener
	// Native are plugins that come with the program and run as executables,
	// by name, like those of internal/nativeplugins in shieldd. Others of the
	// same name, also in PluginDirs, take their places.
	Native map[string]plugin.Opener
	// Timezone is the IANA zone of schedules that name none; empty: UTC.
	Timezone string
	// Dev makes every schedule mean every minute, to try things out.
	Dev bool
	// Recipients are age public keys that archives are sealed to besides the
	// daemon's own.
	Recipients []string
	// Limit is how many tasks run at once; 0: scheduler.DefaultLimit.
	// AgentLimit is how many of them one agent runs; 0: no limit of its own.
	Limit, AgentLimit int
	// AgentListen is the address that agents dial, by TLS; empty: none.
	AgentListen string
	// AgentLife is how long a certificate of an agent is valid, AgentPatience
	// how long a running task waits for its agent to be connected again, and
	// AgentUnseen after how long an event tells that an agent is not; 0: the
	// defaults of package agent.
	AgentLife, AgentPatience, AgentUnseen time.Duration
	// AgentStatus is how often each connected agent is asked what it is; 0: only
	// when somebody asks.
	AgentStatus time.Duration
	// Attempts is how often a scheduled backup is tried in all whose job does
	// not say, while its failures may pass; 0: DefaultAttempts. Backoff is how
	// long it waits after the first; 0: scheduler.DefaultBackoff.
	Attempts int
	Backoff  time.Duration
	// Timeout is the deadline of tasks whose job names none, IdleTimeout
	// ends a task in which no byte moves.
	Timeout, IdleTimeout time.Duration
	// Grace is how long plugins may take to end when told to.
	Grace time.Duration
	// SweepEvery is how often modules that nothing needs any more are removed;
	// 0: every hour. They are at the start, too.
	SweepEvery time.Duration
	// TrustedProxies are the addresses, or networks in CIDR notation, of reverse
	// proxies: they are believed about where a request comes from.
	TrustedProxies []string
	proxies        []netip.Prefix
	// HeaderTimeout is how long a client may take to send the header of a
	// request, 10 seconds unless set; BodyTimeout is that of the whole, a minute;
	// and AnswerTimeout how long one that reads nothing of an answer is waited
	// for, a minute.
	HeaderTimeout, BodyTimeout, AnswerTimeout time.Duration
	// Release is the version of the program.
	Release string
	// Log receives what operators should know; nil discards it.
	Log *slog.Logger
}

// check fills in defaults and refuses what cannot work.
func (c *Config) check() error {
	if c.Data == "" {
		return shield.FieldErrorf("data", "is missing: the folder for catalog and keys is wanted")
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return shield.FieldErrorf("data", "%v", err)
	}
	c.Data = abs
	if c.Cache == "" {
		c.Cache = filepath.Join(c.Data, cacheDir)
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SweepEvery <= 0 {
		c.SweepEvery = time.Hour
	}
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.BodyTimeout, c.AnswerTimeout = cmp.Or(c.BodyTimeout, time.Minute), cmp.Or(c.AnswerTimeout, time.Minute)
	if err := c.checkLimits(); err != nil {
		return err
	}
	if err := c.checkProxies(); err != nil {
		return err
	}
	if _, err := timespec.Location(c.Timezone); err != nil {
		return err
	}
	return c.checkListen()
}

func (c *Config) checkLimits() error {
	if c.Limit < 0 {
		return shield.FieldErrorf("limit", "is %d: it cannot be negative", c.Limit)
	}
	if c.AgentLimit < 0 {
		return shield.FieldErrorf("agent-limit", "is %d: it cannot be negative", c.AgentLimit)
	}
	if c.AgentLife != 0 && c.AgentLife < time.Minute {
		return shield.FieldErrorf("agent-life", "is %s: at least 1m is wanted", c.AgentLife)
	}
	if c.AgentStatus < 0 {
		return shield.FieldErrorf("agent-status", "is %s: it cannot be negative", c.AgentStatus)
	}
	if c.AgentPatience < 0 || c.AgentUnseen < 0 {
		return shield.FieldErrorf("agent-patience", "is %s and agent-unseen %s: neither can be negative", c.AgentPatience, c.AgentUnseen)
	}
	if c.Attempts < 0 || c.Attempts > shield.MaxAttempts {
		return shield.FieldErrorf("attempts", "is %d: 1 to %d are allowed, or 0 for %d", c.Attempts, shield.MaxAttempts, DefaultAttempts)
	}
	if c.Backoff < 0 || c.Backoff > shield.MaxBackoff*time.Second {
		return shield.FieldErrorf("backoff", "is %s: 0s to %s are allowed", c.Backoff, shield.MaxBackoff*time.Second)
	}
	c.Attempts = cmp.Or(c.Attempts, DefaultAttempts)
	return nil
}

// checkProxies reads the addresses of proxies.
func (c *Config) checkProxies() error {
	c.proxies = nil
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if a, errAddr := netip.ParseAddr(text); errAddr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil:
			return shield.FieldErrorf("trusted-proxy", "%.100q is not an address: one like 10.0.0.7, or a network like 10.0.0.0/24, is wanted", text)
		case p.Addr().Is4In6():
			return shield.FieldErrorf("trusted-proxy", "%.100q is an IPv4 address in IPv6: it is wanted as IPv4", text)
		case p.Bits() == 0:
			return shield.FieldErrorf("trusted-proxy", "%.100q is everybody, who could then claim to be anybody: the addresses of proxies are wanted", text)
		}
		c.proxies = append(c.proxies, p.Masked())
	}
	return nil
}

func (c *Config) checkListen() error {
	if c.AgentListen != "" {
		if _, _, err := net.SplitHostPort(c.AgentListen); err != nil {
			return shield.FieldErrorf("agent-listen", "%q is not an address: HOST:PORT like :7644 is wanted", c.AgentListen)
		}
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return shield.FieldErrorf("listen", "%q is not an address: HOST:PORT like %s is wanted", c.Listen, DefaultListen)
	}
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		return shield.FieldErrorf("tls-key", "is missing: the file with the key of the certificate in tls-cert is wanted")
	case c.TLSCert == "" && c.TLSKey != "":
		return shield.FieldErrorf("tls-cert", "is missing: the file with the certificate of the key in tls-key is wanted")
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) || c.TLSCert != "" || c.Insecure {
		return nil
	}
	return shield.FieldErrorf("listen", "%q is reachable from other machines and the API would be in the clear: "+
		"give --tls-cert and --tls-key, listen on loopback behind a TLS proxy, or say --insecure", c.Listen)
}

// mode is what status calls the way that the daemon runs in.
func (c *Config) mode() string {
	if c.Dev {
		return "DEV"
	}
	return ""
}
