// Package mysqlcli is what the plugins for MySQL and MariaDB share: the fields
// that say how to reach a server, the option file by which the command-line
// tools learn them, queries by the command-line client, and what their
// complaints mean.
package mysqlcli

import (
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// A Connection is how to reach a server. The names of its fields are those of
// the original plugins, where these had them.
type Connection struct {
	Host     string `json:"mysql_host"`
	Port     int    `json:"mysql_port"`
	Socket   string `json:"mysql_socket"`
	User     string `json:"mysql_user"`
	Password string `json:"mysql_password"`
	BinDir   string `json:"mysql_bindir"`
	TLS      string `json:"mysql_tls"`
	CA       string `json:"mysql_tls_ca"`
	Cert     string `json:"mysql_tls_cert"`
	Key      string `json:"mysql_tls_key"`
}

// The modes of TLS, from what gives nothing to what gives most.
const (
	TLSDisabled = "disabled"
	TLSPrefer   = "prefer"
	TLSRequire  = "require"
	TLSVerifyCA = "verify-ca"
	TLSVerify   = "verify-full"
)

// Fields returns the fields of a Connection.
func Fields() []plugin.Field {
	return []plugin.Field{
		{Mode: plugin.RoleTarget, Name: "mysql_host", Type: plugin.TypeString, Title: "Host", Default: "127.0.0.1",
			Help: "Name or address of the server. Not used with a socket."},
		{Mode: plugin.RoleTarget, Name: "mysql_port", Type: plugin.TypePort, Title: "Port", Default: "3306"},
		{Mode: plugin.RoleTarget, Name: "mysql_socket", Type: plugin.TypeAbsPath, Title: "Socket", Example: "/run/mysqld/mysqld.sock",
			Help: "Connect by this socket instead of by network."},
		{Mode: plugin.RoleTarget, Name: "mysql_user", Type: plugin.TypeString, Title: "User", Required: true, Example: "shield"},
		{Mode: plugin.RoleTarget, Name: "mysql_password", Type: plugin.TypePassword, Title: "Password",
			Help: "May be missing, for accounts that log in by a socket or a certificate."},
		{Mode: plugin.RoleTarget, Name: "mysql_bindir", Type: plugin.TypeAbsPath, Title: "Folder of the tools", Example: "/opt/mysql/bin",
			Help: "Where the tools are, if not in the usual folders."},
		{Mode: plugin.RoleTarget, Name: "mysql_tls", Type: plugin.TypeEnum, Title: "TLS", Default: TLSPrefer,
			Enum: []string{TLSDisabled, TLSPrefer, TLSRequire, TLSVerifyCA, TLSVerify},
			Help: "prefer takes TLS if the server has it, require insists, verify-ca checks that the CA has signed the server's certificate, verify-full also that it is for this host; MariaDB's tools do that for verify-ca, too."},
		{Mode: plugin.RoleTarget, Name: "mysql_tls_ca", Type: plugin.TypePEM, Title: "CA", Help: "Certificates of the CA in PEM form, for verify-ca and verify-full."},
		{Mode: plugin.RoleTarget, Name: "mysql_tls_cert", Type: plugin.TypePEM, Title: "Client certificate"},
		{Mode: plugin.RoleTarget, Name: "mysql_tls_key", Type: plugin.TypePEM, Title: "Key of the client certificate"},
	}
}

// Validate reports what does not fit together.
func (c *Connection) Validate() error {
	verifies := c.TLS == TLSVerifyCA || c.TLS == TLSVerify
	switch {
	case strings.ContainsAny(c.Host, " \t\r\n"):
		return shield.FieldErrorf("endpoint.mysql_host", "is %q: a name or an address is wanted", c.Host)
	case verifies && c.CA == "":
		return shield.FieldErrorf("endpoint.mysql_tls_ca", "is missing: mysql_tls is %s, which needs the certificates of the CA", c.TLS)
	case c.TLS == TLSDisabled && (c.CA != "" || c.Cert != ""):
		return shield.FieldErrorf("endpoint.mysql_tls", "is disabled although there are certificates: one of prefer, require, verify-ca and verify-full is wanted")
	case (c.Cert == "") != (c.Key == ""):
		return shield.FieldErrorf("endpoint.mysql_tls_key", "a client certificate and its key belong together: one of them is missing")
	}
	return nil
}

// Where names the server, for errors.
func (c *Connection) Where() string {
	if c.Socket != "" {
		return c.Socket
	}
	return c.Host + ":" + strconv.Itoa(c.Port)
}

// A Vendor is who made a server or a tool; their options differ.
type Vendor string

// The vendors.
const (
	MySQL   Vendor = "MySQL"
	MariaDB Vendor = "MariaDB"
)

// optionsName is the option file in the private folder that a tool works in.
const optionsName = "my.cnf"

// OptionsFlag is the flag, always the first, that makes a tool read the
// option file and no other.
const OptionsFlag = "--defaults-file=./" + optionsName

// Files returns the option file and the certificates for a tool of the vendor.
// More options may be given.
func (c *Connection) Files(v Vendor, more ...[2]string) (map[string]string, error) {
	options := [][2]string{{"user", c.User}, {"password", c.Password}}
	if c.Socket != "" {
		options = append(options, [2]string{"protocol", "socket"}, [2]string{"socket", c.Socket})
	} else {
		options = append(options, [2]string{"protocol", "tcp"}, [2]string{"host", c.Host}, [2]string{"port", strconv.Itoa(c.Port)})
	}
	options = append(options, c.tlsOptions(v)...)
	files := map[string]string{}
	for _, pem := range []struct{ option, name, text string }{
		{"ssl-ca", "ca.pem", c.CA}, {"ssl-cert", "cert.pem", c.Cert}, {"ssl-key", "key.pem", c.Key},
	} {
		if pem.text != "" {
			files[pem.name] = pem.text
			options = append(options, [2]string{pem.option, "./" + pem.name})
		}
	}
	text, err := tool.OptionFile("client", append(options, more...)...)
	if err != nil {
		return nil, shield.FieldErrorf("endpoint", "%v", err)
	}
	files[optionsName] = text
	return files, nil
}

// tlsOptions are those for the mode. MariaDB's tools have no mode: they go on
// without TLS if the server has none, unless they check the certificate, and
// then they check its name, too. So verify-ca is verify-full to them, and of
// require Hello takes care.
func (c *Connection) tlsOptions(v Vendor) [][2]string {
	if v == MySQL {
		mode := map[string]string{
			TLSDisabled: "DISABLED", TLSRequire: "REQUIRED", TLSVerifyCA: "VERIFY_CA", TLSVerify: "VERIFY_IDENTITY",
		}[c.TLS]
		if mode == "" {
			mode = "PREFERRED"
		}
		return [][2]string{{"ssl-mode", mode}}
	}
	switch c.TLS {
	case TLSDisabled:
		return [][2]string{{"ssl", "0"}}
	case TLSRequire:
		return [][2]string{{"ssl", "1"}}
	case TLSVerifyCA, TLSVerify:
		return [][2]string{{"ssl", "1"}, {"ssl-verify-server-cert", "1"}}
	}
	return nil
}
