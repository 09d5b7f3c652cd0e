// Package rabbitmq is shield's plugin for RabbitMQ brokers: their definitions
// (virtual hosts, users, permissions, policies, exchanges, queues, bindings),
// had from and given to the management API, and the messages of chosen queues,
// over AMQP 0-9-1.
package rabbitmq

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

// Plugin returns the plugin: a target.
func Plugin() *plugin.Native {
	return &plugin.Native{About: about(), Target: open}
}

func about() plugin.Info {
	return plugin.Info{
		Name:     "rabbitmq",
		Author:   "The shield authors",
		Version:  "1.0.0",
		Summary:  "a RabbitMQ broker: its definitions, and messages of chosen queues",
		Features: plugin.Features{Target: "yes", Store: "no"},
		Fields:   fields(),
		Actions:  []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionProbe, plugin.ActionInspect},
		Endpoint: plugin.DeliverFD,
		Capabilities: json.RawMessage(`{"http":["{url}","{rmq_url}"],"tcp":["{url}","{rmq_url}","{amqp_url}"],` +
			`"memory":"512MiB"}`),
	}
}

func fields() []plugin.Field {
	all := []plugin.Field{
		{
			Name: "url", Type: plugin.TypeURL, Title: "Management API", Example: "https://rabbit1.example.com:15671",
			Help: "Where the management plugin listens. Required, here or as rmq_url.",
		},
		{Name: "username", Type: plugin.TypeString, Title: "User", Help: "With the tag administrator."},
		{Name: "password", Type: plugin.TypePassword, Title: "Password"},
		{
			Name: "vhost", Type: plugin.TypeString, Title: "Virtual host", Example: "/",
			Help: "Only the definitions of this one, without users and permissions. Empty means all of the broker.",
		},
		{
			Name: "messages", Type: plugin.TypeString, Title: "Queues whose messages are kept", Example: "//orders, billing/*",
			Help: "Patterns of VHOST/QUEUE, separated by commas; * is any text without a slash. The virtual host / is written //QUEUE. Empty means no messages.",
		},
		{
			Name: "amqp_url", Type: plugin.TypeString, Title: "AMQP", Example: "amqps://rabbit1.example.com:5671",
			Help: "Where the broker listens for clients, as a URL; wanted for messages.",
		},
		{
			Name: "existing", Type: plugin.TypeEnum, Title: "Queues that hold messages already", Enum: []string{existingRefuse, existingAdd}, Default: existingRefuse,
			Help: "What a restore of messages does with them. refuse: nothing is published, so that none is there twice. add: they are added.",
		},
		{Name: "skip_ssl_validation", Type: plugin.TypeBool, Title: "Take any certificate", Default: "false"},
		{Name: "ca", Type: plugin.TypeText, Title: "Certificate authorities", Help: "In PEM form, instead of the system's."},
		{Name: "cert", Type: plugin.TypeText, Title: "Client certificate", Help: "In PEM form."},
		{Name: "key", Type: plugin.TypePEM, Title: "Key of the client certificate"},
		{Name: "rmq_url", Type: plugin.TypeURL, Title: "Management API", Help: "An older name of url."},
		{Name: "rmq_username", Type: plugin.TypeString, Title: "User", Help: "An older name of username."},
		{Name: "rmq_password", Type: plugin.TypePassword, Title: "Password", Help: "An older name of password."},
	}
	for n := range all {
		all[n].Mode = plugin.RoleTarget
	}
	return all
}

// What a restore does with queues that hold messages.
const (
	existingRefuse = "refuse"
	existingAdd    = "add"
)

// A config is an endpoint, decoded.
type config struct {
	URL         string `json:"url"`
	Username    string `json:"username"`
	Password    string `json:"password"`
	OldURL      string `json:"rmq_url"`
	OldUsername string `json:"rmq_username"`
	OldPassword string `json:"rmq_password"`
	Vhost       string `json:"vhost"`
	Messages    string `json:"messages"`
	AMQP        string `json:"amqp_url"`
	Existing    string `json:"existing"`
	Insecure    bool   `json:"skip_ssl_validation"`
	CA          string `json:"ca"`
	Cert        string `json:"cert"`
	Key         string `json:"key"`

	base   *url.URL
	amqp   *url.URL
	queues []pattern
}

// idle is how long a server may stay silent.
const idle = 5 * time.Minute

func (c *config) tls() *pdk.TLSConfig {
	return &pdk.TLSConfig{CA: c.CA, Cert: c.Cert, Key: c.Key, Insecure: c.Insecure}
}

// settle takes the older names and looks at what the fields alone do not say.
func (c *config) settle() (err error) {
	for _, f := range []struct {
		name  string
		v     *string
		older string
	}{{"url", &c.URL, c.OldURL}, {"username", &c.Username, c.OldUsername}, {"password", &c.Password, c.OldPassword}} {
		switch {
		case *f.v == "":
			*f.v = f.older
		case f.older != "":
			return shield.FieldErrorf("endpoint.rmq_"+f.name, "is the same as %s, which is there too: one of them is wanted", f.name)
		}
		if *f.v == "" {
			return shield.FieldErrorf("endpoint."+f.name, "is missing")
		}
	}
	if c.base, err = url.Parse(c.URL); err != nil || (c.base.Scheme != "http" && c.base.Scheme != "https") || c.base.User != nil {
		return shield.FieldErrorf("endpoint.url", "is not a URL like https://rabbit1.example.com:15671, without credentials in it")
	}
	if (c.Cert == "") != (c.Key == "") {
		return shield.FieldErrorf("endpoint.cert", "certificate and key are wanted, or neither")
	}
	if c.queues, err = parsePatterns(c.Messages); err != nil || len(c.queues) == 0 {
		return err
	}
	if c.amqp, err = url.Parse(c.AMQP); err != nil || (c.amqp.Scheme != "amqp" && c.amqp.Scheme != "amqps") || c.amqp.Host == "" || c.amqp.User != nil {
		return shield.FieldErrorf("endpoint.amqp_url", "is not a URL like amqps://rabbit1.example.com:5671, which is wanted for messages")
	}
	return nil
}

func open(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	info := about()
	t := &target{log: log}
	if err := info.Decode(plugin.RoleTarget, e, &t.config); err != nil {
		return nil, err
	}
	if t.log == nil {
		t.log = func(string) {}
	}
	if err := t.settle(); err != nil {
		return nil, err
	}
	transport, err := pdkhttp.New(&pdkhttp.Options{TLS: t.tls(), Idle: idle})
	if err != nil {
		return nil, err
	}
	t.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}
