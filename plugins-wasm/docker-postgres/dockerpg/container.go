package dockerpg

import (
	"encoding/json"
	"strings"

	"github.com/shieldhq/shield"
)

// A container is what docker inspect tells of one, as far as it matters for
// making it again. The whole of it is kept in the archive.
type container struct {
	ID              string `json:"Id"`
	Name            string `json:"Name"` // begins with a slash
	State           state  `json:"State"`
	Config          setup  `json:"Config"`
	HostConfig      host   `json:"HostConfig"`
	NetworkSettings struct {
		Networks map[string]network `json:"Networks"`
	} `json:"NetworkSettings"`

	raw json.RawMessage
}

type state struct {
	Running bool `json:"Running"`
}

type network struct {
	Aliases    []string `json:"Aliases"`
	IPAMConfig *struct {
		IPv4Address, IPv6Address string
	} `json:"IPAMConfig"`
}

// setup is what a container is.
type setup struct {
	Image, User, WorkingDir, Hostname, Domainname, StopSignal string

	Env, Cmd, Entrypoint  []string
	Labels                map[string]string
	ExposedPorts, Volumes map[string]struct{}
	Tty, OpenStdin        bool
	StopTimeout           *int
	Healthcheck           *struct {
		Test                           []string
		Interval, Timeout, StartPeriod int64
		Retries                        int
	}
}

// host is how a container uses its host.
type host struct {
	Binds        []string
	Mounts       []mount
	NetworkMode  string
	PortBindings map[string][]struct {
		HostIP   string `json:"HostIp"`
		HostPort string
	}
	RestartPolicy struct {
		Name              string
		MaximumRetryCount int
	}
	LogConfig struct {
		Type   string
		Config map[string]string
	}
	CapAdd, CapDrop, DNS, ExtraHosts, GroupAdd, SecurityOpt []string
	Privileged, ReadonlyRootfs, AutoRemove                  bool
	Init                                                    *bool
	ShmSize, Memory, MemoryReservation, MemorySwap          int64
	NanoCpus, CPUShares                                     int64
	PidsLimit                                               *int64
	OomScoreAdj                                             int
	CpusetCpus, IpcMode, PidMode, UTSMode, UsernsMode       string
	CgroupnsMode, Runtime                                   string
	Tmpfs, Sysctls                                          map[string]string
	Ulimits                                                 []struct {
		Name       string
		Hard, Soft int64
	}
}

type mount struct {
	Type, Source, Target string
	ReadOnly             bool
}

// parseContainers decodes what docker inspect prints.
func parseContainers(text []byte) ([]*container, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(text, &raws); err != nil {
		return nil, shield.Errorf(shield.TargetFailed, "", "docker inspect prints no JSON list: %w", err)
	}
	all := make([]*container, len(raws))
	for n, raw := range raws {
		c := &container{raw: raw}
		if err := json.Unmarshal(raw, c); err != nil {
			return nil, shield.Errorf(shield.TargetFailed, "", "docker inspect prints something else than a container: %w", err)
		}
		if c.name() == "" {
			return nil, shield.Errorf(shield.TargetFailed, "", "docker inspect tells of a container without a name")
		}
		all[n] = c
	}
	return all, nil
}

func (c *container) name() string { return strings.TrimPrefix(c.Name, "/") }

// variable returns a variable of the container's environment.
func (c *container) variable(name string) string {
	for _, v := range c.Config.Env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// user returns the role to connect as, and its password.
func (c *container) user(e *config) (user, password string) {
	user, password = e.User, e.Password
	if user == "" {
		user = c.variable("POSTGRES_USER")
	}
	if user == "" {
		user = "postgres"
	}
	if password == "" {
		password = c.variable("POSTGRES_PASSWORD")
	}
	return user, password
}
