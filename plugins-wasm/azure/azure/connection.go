package azure

import (
	"strings"
)

// A connection is a connection string, taken apart.
// https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
type connection struct {
	account  string
	key, sas string
	endpoint string // of the blob service
	plain    bool   // its endpoint is that of the account's name in the public cloud
}

// parseConnectionString does not quote the text in its errors: it has a key.
func parseConnectionString(text string) (*connection, error) {
	const field = "connection_string"
	values := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimSpace(text), ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, invalid(field, "has a part without =: a text like DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net is wanted")
		}
		values[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	if values["usedevelopmentstorage"] != "" {
		return nil, invalid(field, "means the emulator of this machine: name its account, key and endpoint instead")
	}
	c := &connection{account: values["accountname"], key: values["accountkey"], sas: values["sharedaccesssignature"]}
	c.endpoint = strings.TrimRight(values["blobendpoint"], "/")
	if c.account == "" {
		c.account = accountOf(c.endpoint)
	}
	switch {
	case c.key == "" && c.sas == "":
		return nil, invalid(field, "has neither an AccountKey nor a SharedAccessSignature")
	case c.key != "" && c.account == "":
		return nil, invalid(field, "has an AccountKey and no AccountName")
	case c.account != "" && !accountName.MatchString(c.account):
		return nil, invalid(field, "has the AccountName %q: 3 to 24 lower-case letters and digits are wanted", c.account)
	}
	if c.endpoint == "" {
		if c.account == "" {
			return nil, invalid(field, "has neither a BlobEndpoint nor an AccountName")
		}
		c.endpoint = defaultTo(values["defaultendpointsprotocol"], "https") + "://" + c.account + ".blob." +
			defaultTo(values["endpointsuffix"], "core.windows.net")
	}
	c.plain = strings.EqualFold(c.endpoint, "https://"+c.account+".blob.core.windows.net")
	return c, nil
}

func defaultTo(value, instead string) string {
	if value == "" {
		return instead
	}
	return value
}

// fits checks that the fields that say what the plugin may reach agree with
// the connection string.
func (p *connection) fits(c *config) error {
	if c.Account != "" && p.account != "" && c.Account != p.account {
		return invalid("account", "is %q, and the connection string is for %q", c.Account, p.account)
	}
	if c.Endpoint == "" && p.plain {
		return nil
	}
	if !strings.EqualFold(c.Endpoint, p.endpoint) {
		return invalid("endpoint", "is %q: the connection string names %s, which has to stand here, too, since this field says what the plugin may reach", c.Endpoint, p.endpoint)
	}
	return nil
}
