// Package mongo backs up and restores databases of MongoDB, and of servers
// that speak its protocol, with mongodump and mongorestore.
package mongo

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// version is that of the plugin.
const version = "1.0.0"

// Plugin returns the plugin.
func Plugin() *plugin.Native {
	return &plugin.Native{
		About: plugin.Info{
			Name: "mongo", Author: "the shield authors", Version: version,
			Summary:  "Databases of MongoDB, by mongodump.",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields:   fields,
			Actions:  []plugin.Action{plugin.ActionTest, plugin.ActionValidate, plugin.ActionProbe, plugin.ActionInspect},
			Endpoint: plugin.DeliverFD,
			Capabilities: json.RawMessage(`{"tcp":["{mongo_host}:{mongo_port}"],` +
				`"exec":["mongodump","mongorestore","{mongo_bindir}/mongodump","{mongo_bindir}/mongorestore"]}`),
		},
		Target: open,
	}
}

// The modes of TLS.
const (
	tlsDisabled = "disabled"
	tlsRequire  = "require"
	tlsVerify   = "verify-full"
)

// fields is never written to.
var fields = []plugin.Field{
	{Mode: plugin.RoleTarget, Name: "mongo_host", Type: plugin.TypeString, Title: "Host", Default: "127.0.0.1"},
	{Mode: plugin.RoleTarget, Name: "mongo_port", Type: plugin.TypePort, Title: "Port", Default: "27017"},
	{Mode: plugin.RoleTarget, Name: "mongo_user", Type: plugin.TypeString, Title: "User", Example: "shield"},
	{Mode: plugin.RoleTarget, Name: "mongo_password", Type: plugin.TypePassword, Title: "Password"},
	{Mode: plugin.RoleTarget, Name: "mongo_authdb", Type: plugin.TypeString, Title: "Database of the user", Help: "Where the user is defined: admin if left out."},
	{Mode: plugin.RoleTarget, Name: "mongo_database", Type: plugin.TypeString, Title: "Database", Example: "shop",
		Help: "One database. Without it all are backed up."},
	{Mode: plugin.RoleTarget, Name: "mongo_replica_set", Type: plugin.TypeString, Title: "Replica set", Example: "rs0",
		Help: "The name of the replica set that the host is of: the tools then find the other members by themselves."},
	{Mode: plugin.RoleTarget, Name: "mongo_bindir", Type: plugin.TypeAbsPath, Title: "Folder of the tools", Example: "/opt/mongodb/bin",
		Help: "Where mongodump and mongorestore are, if not in the usual folders."},
	{Mode: plugin.RoleTarget, Name: "mongo_options", Type: plugin.TypeString, Title: "Options of both tools", Example: "--numParallelCollections=2"},
	{Mode: plugin.RoleTarget, Name: "mongodump_options", Type: plugin.TypeString, Title: "Options of mongodump", Example: "--readPreference=secondary"},
	{Mode: plugin.RoleTarget, Name: "mongorestore_options", Type: plugin.TypeString, Title: "Options of mongorestore", Example: "--numInsertionWorkersPerCollection=4"},
	{Mode: plugin.RoleTarget, Name: "mongo_tls", Type: plugin.TypeEnum, Title: "TLS", Default: tlsDisabled, Enum: []string{tlsDisabled, tlsRequire, tlsVerify},
		Help: "require takes any certificate, verify-full one of the CA for this host."},
	{Mode: plugin.RoleTarget, Name: "mongo_tls_ca", Type: plugin.TypePEM, Title: "CA", Help: "Certificates of the CA in PEM form; without it the system's."},
	{Mode: plugin.RoleTarget, Name: "mongo_tls_cert", Type: plugin.TypePEM, Title: "Client certificate",
		Help: "With a user and no password it is what logs in (MONGODB-X509)."},
	{Mode: plugin.RoleTarget, Name: "mongo_tls_key", Type: plugin.TypePEM, Title: "Key of the client certificate"},
	{Mode: plugin.RoleTarget, Name: "mongo_keep", Type: plugin.TypeBool, Title: "Keep collections that exist",
		Help: "A restore leaves out --drop: documents that exist stay, and one with the same _id makes it fail."},
	{Mode: plugin.RoleTarget, Name: "mongo_users", Type: plugin.TypeBool, Title: "Restore users and roles",
		Help: "A restore of everything leaves out the database admin, which has them, unless this is set."},
	{Mode: plugin.RoleTarget, Name: "mongo_any_version", Type: plugin.TypeBool, Title: "Ignore versions",
		Help: "Restore although the server is older than the one that was backed up."},
}

// An endpoint is what configures a target. The names are the original
// plugin's, where it had them.
type endpoint struct {
	Host           string `json:"mongo_host"`
	Port           int    `json:"mongo_port"`
	User           string `json:"mongo_user"`
	Password       string `json:"mongo_password"`
	AuthDB         string `json:"mongo_authdb"`
	Database       string `json:"mongo_database"`
	ReplicaSet     string `json:"mongo_replica_set"`
	BinDir         string `json:"mongo_bindir"`
	Options        string `json:"mongo_options"`
	DumpOptions    string `json:"mongodump_options"`
	RestoreOptions string `json:"mongorestore_options"`
	TLS            string `json:"mongo_tls"`
	CA             string `json:"mongo_tls_ca"`
	Cert           string `json:"mongo_tls_cert"`
	Key            string `json:"mongo_tls_key"`
	Keep           bool   `json:"mongo_keep"`
	Users          bool   `json:"mongo_users"`
	AnyVersion     bool   `json:"mongo_any_version"`
}

// A target is one server, or one of its databases.
type target struct {
	endpoint
	log          plugin.Log
	host         *tool.Host
	dump, reload []string // options
}

var (
	_ plugin.Prober    = (*target)(nil)
	_ plugin.Inspector = (*target)(nil)
	_ plugin.Tester    = (*target)(nil)
	_ plugin.Validator = (*target)(nil)
)

// refused are options of the tools that are not an operator's to set.
var refused = []string{
	"--host", "--port", "--username", "--password", "--authenticationDatabase", "--authenticationMechanism", "--uri", "--config",
	"--db", "--out", "--archive", "--gzip", "--dir", "--quiet", "--dryRun", "--drop", "--ssl", "--sslCAFile", "--sslPEMKeyFile",
	"-h", "-u", "-p", "-d", "-o",
}

func open(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	t := &target{log: log}
	info := Plugin().About
	if err := info.Decode(plugin.RoleTarget, e, &t.endpoint); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	t.host = &tool.Host{Folder: t.BinDir, Field: "mongo_bindir", Dialect: dialect(), Log: log, Secrets: []string{t.Password, url.QueryEscape(t.Password)}}
	return t, nil
}

func (t *target) check() error {
	switch {
	case strings.ContainsAny(t.Host, " ,/@\t\r\n"):
		return shield.FieldErrorf("endpoint.mongo_host", "is %q: one name or address is wanted; with mongo_replica_set the tools find the other members", t.Host)
	case t.User == "" && t.Password != "":
		return shield.FieldErrorf("endpoint.mongo_user", "is missing: there is a password")
	case t.TLS == tlsDisabled && (t.CA != "" || t.Cert != ""):
		return shield.FieldErrorf("endpoint.mongo_tls", "is disabled although there are certificates: require or verify-full is wanted")
	case (t.Cert == "") != (t.Key == ""):
		return shield.FieldErrorf("endpoint.mongo_tls_key", "a client certificate and its key belong together: one of them is missing")
	case strings.ContainsAny(t.Database, `/\. "$*<>:|?`):
		return shield.FieldErrorf("endpoint.mongo_database", "is %q: the name of one database is wanted", t.Database)
	}
	for _, o := range []struct {
		field, text string
		to          []*[]string
	}{
		{"mongo_options", t.Options, []*[]string{&t.dump, &t.reload}},
		{"mongodump_options", t.DumpOptions, []*[]string{&t.dump}},
		{"mongorestore_options", t.RestoreOptions, []*[]string{&t.reload}},
	} {
		list, err := tool.CheckOptions(o.field, o.text, refused...)
		if err != nil {
			return err
		}
		for _, to := range o.to {
			*to = append(*to, list...)
		}
	}
	return nil
}

// Validate implements plugin.Validator. Opening has checked everything.
func (t *target) Validate(context.Context) error { return nil }

func (e *endpoint) authDB() string {
	if e.AuthDB != "" {
		return e.AuthDB
	}
	return "admin"
}

func (e *endpoint) tlsConfig() *pdk.TLSConfig {
	return &pdk.TLSConfig{CA: e.CA, Cert: e.Cert, Key: e.Key, Insecure: e.TLS == tlsRequire}
}

// files returns the configuration of the tools, with the address that has the
// credentials, and the certificates.
func (e *endpoint) files() map[string]string {
	u := url.URL{Scheme: "mongodb", Host: net.JoinHostPort(e.Host, strconv.Itoa(e.Port)), Path: "/"}
	q := url.Values{"serverSelectionTimeoutMS": {"10000"}, "connectTimeoutMS": {"10000"}}
	files := map[string]string{}
	if e.User != "" {
		u.User = url.UserPassword(e.User, e.Password)
		q.Set("authSource", e.authDB())
		if e.Password == "" && e.Cert != "" {
			u.User = url.User(e.User)
			q.Set("authSource", "$external")
			q.Set("authMechanism", "MONGODB-X509")
		}
	}
	if e.ReplicaSet != "" {
		q.Set("replicaSet", e.ReplicaSet)
	}
	if e.TLS != tlsDisabled {
		q.Set("tls", "true")
		if e.TLS == tlsRequire {
			q.Set("tlsInsecure", "true")
		}
		if e.CA != "" {
			files["ca.pem"] = e.CA
			q.Set("tlsCAFile", "./ca.pem")
		}
		if e.Cert != "" {
			files["client.pem"] = strings.TrimRight(e.Cert, "\n") + "\n" + e.Key
			q.Set("tlsCertificateKeyFile", "./client.pem")
		}
	}
	u.RawQuery = q.Encode()
	text, _ := json.Marshal(u.String()) // a string; YAML takes it as JSON has it
	files["mongo.yaml"] = "uri: " + string(text) + "\n"
	return files
}

// configFlag makes a tool read the configuration.
const configFlag = "--config=./mongo.yaml"

// Inspect implements plugin.Inspector.
func (t *target) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	var a *archive
	err := tool.Inspect(ctx, r, "the archive", func(r io.Reader) (err error) {
		a, err = readArchive(r)
		return err
	})
	if err != nil {
		return plugin.Probe{}, err
	}
	return plugin.Probe{Counts: a.counts(), Versions: a.versions()}, nil
}

func (a *archive) versions() map[string]string {
	return map[string]string{"server": "MongoDB " + a.server, "tool": "mongodump " + a.tool}
}

// ofServer are the databases that belong to the server.
var ofServer = []string{"admin", "config", "local"}

func isOfServer(db string) bool { return db == "" || slices.Contains(ofServer, db) }
