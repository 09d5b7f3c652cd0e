package dockerpg

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// createArgs returns what docker create has to be told to make a container
// again, and the files that it reads: variables and labels, of which the
// first are secrets.
func (c *container) createArgs(pull bool) (args []string, files map[string]string, err error) {
	a := &flags{args: []string{"create", "--name", c.name(), "--env-file", "./env", "--label-file", "./labels"}}
	a.yes("--pull=never", !pull)
	files = map[string]string{"env": "", "labels": ""}
	for _, v := range c.Config.Env {
		if strings.ContainsAny(v, "\r\n") {
			name, _, _ := strings.Cut(v, "=")
			return nil, nil, c.cannot("its variable %s has several lines", name)
		}
		files["env"] += v + "\n"
	}
	for _, l := range slices.Sorted(maps.Keys(c.Config.Labels)) {
		if strings.ContainsAny(l+c.Config.Labels[l], "\r\n") {
			return nil, nil, c.cannot("its label %s has several lines", l)
		}
		files["labels"] += l + "=" + c.Config.Labels[l] + "\n"
	}
	c.Config.flags(a, c.ID)
	c.HostConfig.flags(a)
	if n, ok := c.NetworkSettings.Networks[c.HostConfig.NetworkMode]; ok {
		a.network(&n, c.ID)
	}
	command := c.Config.Cmd
	if len(c.Config.Entrypoint) > 0 {
		a.text("--entrypoint", c.Config.Entrypoint[0])
		command = append(slices.Clone(c.Config.Entrypoint[1:]), command...)
	}
	return append(append(a.args, c.Config.Image), command...), files, nil
}

func (c *container) cannot(format string, args ...any) error {
	return shield.Errorf(shield.TargetFailed, "", "the container %s cannot be made again: %s; make it by hand, and restore again", c.name(), fmt.Sprintf(format, args...))
}

// flags are arguments that leave out what is as it is by default.
type flags struct{ args []string }

func (a *flags) text(flag, value string) {
	if value != "" {
		a.args = append(a.args, flag, value)
	}
}

func (a *flags) number(flag string, n int64) {
	if n != 0 {
		a.args = append(a.args, flag, strconv.FormatInt(n, 10))
	}
}

func (a *flags) yes(flag string, v bool) {
	if v {
		a.args = append(a.args, flag)
	}
}

func (a *flags) each(flag string, values []string) {
	for _, v := range values {
		a.args = append(a.args, flag, v)
	}
}

func (a *flags) pairs(flag string, values map[string]string, sep string) {
	for _, k := range slices.Sorted(maps.Keys(values)) {
		v := k
		if values[k] != "" {
			v += sep + values[k]
		}
		a.args = append(a.args, flag, v)
	}
}

// network has the aliases that a person gave: the engine adds the identity of
// the container, and its name is one in any case.
func (a *flags) network(n *network, id string) {
	for _, alias := range n.Aliases {
		if !strings.HasPrefix(id, alias) {
			a.text("--network-alias", alias)
		}
	}
	if n.IPAMConfig != nil {
		a.text("--ip", n.IPAMConfig.IPv4Address)
		a.text("--ip6", n.IPAMConfig.IPv6Address)
	}
}

func (s *setup) flags(a *flags, id string) {
	a.text("--user", s.User)
	a.text("--workdir", s.WorkingDir)
	if s.Hostname == "" || !strings.HasPrefix(id, s.Hostname) {
		a.text("--hostname", s.Hostname)
	}
	a.text("--domainname", s.Domainname)
	a.text("--stop-signal", s.StopSignal)
	if s.StopTimeout != nil {
		a.args = append(a.args, "--stop-timeout", strconv.Itoa(*s.StopTimeout))
	}
	a.each("--expose", slices.Sorted(maps.Keys(s.ExposedPorts)))
	a.each("--volume", slices.Sorted(maps.Keys(s.Volumes)))
	a.yes("--tty", s.Tty)
	a.yes("--interactive", s.OpenStdin)
	if h := s.Healthcheck; h != nil && len(h.Test) > 0 {
		switch {
		case h.Test[0] == "NONE":
			a.yes("--no-healthcheck", true)
		case h.Test[0] == "CMD-SHELL" && len(h.Test) == 2:
			a.text("--health-cmd", h.Test[1])
		}
		for _, d := range []struct {
			flag string
			ns   int64
		}{{"--health-interval", h.Interval}, {"--health-timeout", h.Timeout}, {"--health-start-period", h.StartPeriod}} {
			if d.ns != 0 {
				a.text(d.flag, time.Duration(d.ns).String())
			}
		}
		a.number("--health-retries", int64(h.Retries))
	}
}

func (h *host) flags(a *flags) {
	a.each("--volume", h.Binds)
	for _, m := range h.Mounts {
		text := "type=" + m.Type + ",target=" + m.Target
		if m.Source != "" {
			text += ",source=" + m.Source
		}
		if m.ReadOnly {
			text += ",readonly"
		}
		a.text("--mount", text)
	}
	a.text("--network", h.NetworkMode)
	for _, port := range slices.Sorted(maps.Keys(h.PortBindings)) {
		for _, b := range h.PortBindings[port] {
			ip := b.HostIP
			if strings.Contains(ip, ":") {
				ip = "[" + ip + "]"
			}
			if ip != "" {
				ip += ":"
			}
			a.text("--publish", ip+b.HostPort+":"+port)
		}
	}
	restart := h.RestartPolicy.Name
	if h.RestartPolicy.MaximumRetryCount > 0 {
		restart += ":" + strconv.Itoa(h.RestartPolicy.MaximumRetryCount)
	}
	a.text("--restart", restart)
	a.text("--log-driver", h.LogConfig.Type)
	a.pairs("--log-opt", h.LogConfig.Config, "=")
	a.limits(h)
	a.each("--cap-add", h.CapAdd)
	a.each("--cap-drop", h.CapDrop)
	a.each("--dns", h.DNS)
	a.each("--add-host", h.ExtraHosts)
	a.each("--group-add", h.GroupAdd)
	a.each("--security-opt", h.SecurityOpt)
	a.yes("--privileged", h.Privileged)
	a.yes("--read-only", h.ReadonlyRootfs)
	a.yes("--rm", h.AutoRemove)
	if h.Init != nil {
		a.args = append(a.args, "--init="+strconv.FormatBool(*h.Init))
	}
	a.text("--ipc", h.IpcMode)
	a.text("--pid", h.PidMode)
	a.text("--uts", h.UTSMode)
	a.text("--userns", h.UsernsMode)
	a.text("--cgroupns", h.CgroupnsMode)
	a.text("--runtime", h.Runtime)
	a.pairs("--tmpfs", h.Tmpfs, ":")
	a.pairs("--sysctl", h.Sysctls, "=")
}

func (a *flags) limits(h *host) {
	a.number("--shm-size", h.ShmSize)
	a.number("--memory", h.Memory)
	a.number("--memory-reservation", h.MemoryReservation)
	a.number("--memory-swap", h.MemorySwap)
	if h.NanoCpus != 0 {
		a.text("--cpus", strconv.FormatFloat(float64(h.NanoCpus)/1e9, 'f', -1, 64))
	}
	a.number("--cpu-shares", h.CPUShares)
	a.text("--cpuset-cpus", h.CpusetCpus)
	if h.PidsLimit != nil {
		a.number("--pids-limit", *h.PidsLimit)
	}
	a.number("--oom-score-adj", int64(h.OomScoreAdj))
	for _, u := range h.Ulimits {
		a.text("--ulimit", fmt.Sprintf("%s=%d:%d", u.Name, u.Soft, u.Hard))
	}
}

// differs returns the first setting in which a container that was made again
// is not as it was, empty if there is none.
func (c *container) differs(made *container) string {
	skip := map[string]bool{
		"Config.Hostname":   strings.HasPrefix(c.ID, c.Config.Hostname), // made of the identity
		"Config.Entrypoint": true, "Config.Cmd": true,                   // compared together, below
		"Config.AttachStdin": true, "Config.AttachStdout": true, "Config.AttachStderr": true, // of whoever looked on
		"Config.StdinOnce":       true,
		"HostConfig.ConsoleSize": true, // of a terminal
	}
	if !slices.Equal(append(slices.Clone(c.Config.Entrypoint), c.Config.Cmd...), append(slices.Clone(made.Config.Entrypoint), made.Config.Cmd...)) {
		return "Config.Cmd"
	}
	was, is := c.settings(), made.settings()
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if !skip[key] && !same(was[key], is[key]) {
			return key
		}
	}
	return ""
}

// settings returns what docker inspect tells in Config and HostConfig.
func (c *container) settings() map[string]any {
	var all map[string]any
	_ = json.Unmarshal(c.raw, &all) // was done before
	flat := map[string]any{}
	for _, part := range []string{"Config", "HostConfig"} {
		m, _ := all[part].(map[string]any)
		for k, v := range m {
			flat[part+"."+k] = v
		}
	}
	return flat
}

// same compares two settings; nothing at all, null, and what is empty are the
// same, and the order of a list does not matter.
func same(a, b any) bool {
	return canonical(a) == canonical(b)
}

func canonical(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		all := make([]string, len(v))
		for n := range v {
			all[n] = canonical(v[n])
		}
		slices.Sort(all)
		return strings.Join(all, "\n")
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
	case string:
		if v == "" {
			return ""
		}
	case bool:
		if !v {
			return ""
		}
	case float64:
		if v == 0 {
			return ""
		}
	}
	b, _ := json.Marshal(v) // was decoded from JSON
	return string(b)
}
