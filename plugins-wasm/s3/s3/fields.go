package s3

import "github.com/shieldhq/shield/plugin"

func (d *Dialect) fields() []plugin.Field {
	fields := append([]plugin.Field{
		{
			Name: "url", Type: plugin.TypeURL, Title: "URL of the service",
			Example: "https://s3.eu-west-1.amazonaws.com",
			Help:    "Scheme, host and port. For virtual-host style the URL of the bucket itself, like https://BUCKET.s3.eu-west-1.amazonaws.com.",
		},
		{Name: "bucket", Type: plugin.TypeString, Required: true, Title: "Bucket", Example: "backups", Help: "It has to exist."},
		{Name: "prefix", Type: plugin.TypeString, Title: "Prefix", Example: "shield/prod", Help: "What all keys begin with, followed by a slash."},
		{Name: "region", Type: plugin.TypeString, Title: "Region", Example: "eu-west-1", Help: "Amazon's is taken from the URL if left out, others get us-east-1."},
		{
			Name: "style", Type: plugin.TypeEnum, Enum: []string{"auto", "path", "virtual"}, Default: "auto", Title: "Addressing",
			Help: "Where the bucket's name stands: in the path or in the host. auto looks whether the URL begins with it.",
		},
		{Name: "access_key_id", Type: plugin.TypeString, Title: "Access key"},
		{Name: "secret_access_key", Type: plugin.TypePassword, Title: "Secret key"},
		{Name: "session_token", Type: plugin.TypePassword, Title: "Session token", Help: "Of temporary keys."},
	}, credentialFields()...)
	fields = append(fields, storageFields()...)
	fields = append(fields, transferFields()...)
	fields = append(fields, d.Aliases...)
	for n := range fields {
		fields[n].Mode = plugin.RoleStore
		if v, ok := d.Defaults[fields[n].Name]; ok {
			fields[n].Default = v
		}
	}
	return fields
}

func credentialFields() []plugin.Field {
	return []plugin.Field{
		{Name: "use_instance_profile", Type: plugin.TypeBool, Default: "false", Title: "Keys of the machine", Help: "Take the keys of the role of the cloud machine (IMDSv2) from metadata_url."},
		{Name: "metadata_url", Type: plugin.TypeURL, Title: "Metadata service", Example: "http://169.254.169.254", Help: "Needed with use_instance_profile, since the plugin reaches no address that the endpoint does not name."},
		{Name: "role_arn", Type: plugin.TypeString, Title: "Role", Example: "arn:aws:iam::123456789012:role/backup", Help: "Take the keys of this role for the token in web_identity_dir from sts_url."},
		{Name: "sts_url", Type: plugin.TypeURL, Title: "Token service", Example: "https://sts.eu-west-1.amazonaws.com", Help: "Needed with web_identity_dir."},
		{Name: "web_identity_dir", Type: plugin.TypeAbsPath, Title: "Folder of the web identity", Example: "/var/run/secrets/eks.amazonaws.com/serviceaccount", Help: "The folder that the file with the token is in."},
		{Name: "web_identity_file", Type: plugin.TypeString, Default: "token", Title: "File of the web identity", Help: "Its name in web_identity_dir."},
		{Name: "signature_version", Type: plugin.TypeEnum, Enum: []string{"4", "2"}, Default: "4", Title: "Signature", Help: "2 is for very old services."},
	}
}

func storageFields() []plugin.Field {
	return []plugin.Field{
		{Name: "storage_class", Type: plugin.TypeString, Title: "Storage class", Example: "STANDARD_IA", Help: "One from which archives can be read at once."},
		{Name: "sse", Type: plugin.TypeEnum, Enum: []string{"none", "s3", "kms", "c"}, Default: "none", Title: "Encryption by the service", Help: "s3: its own keys, kms: sse_kms_key_id, c: sse_customer_key. none leaves it to the bucket."},
		{Name: "sse_kms_key_id", Type: plugin.TypeString, Title: "KMS key", Help: "For sse kms; the account's default key if left out."},
		{Name: "sse_customer_key", Type: plugin.TypePassword, Title: "Customer key", Help: "For sse c: 32 bytes in base64. Without it nothing can be read back."},
		{Name: "lock_mode", Type: plugin.TypeEnum, Enum: []string{"none", "governance", "compliance"}, Default: "none", Title: "Object lock", Help: "Whether nobody can remove an archive before it expires. The bucket needs object lock. governance can be undone by who has a special permission, compliance by nobody."},
		{Name: "checksum", Type: plugin.TypeEnum, Enum: []string{"crc32c", "sha256", "md5", "none"}, Default: "crc32c", Title: "Checksum", Help: "What the service compares each part with. md5 is known to all, the others to services since 2022."},
	}
}

func transferFields() []plugin.Field {
	return []plugin.Field{
		{Name: "part_size", Type: plugin.TypeString, Default: "16MiB", Title: "Part size", Help: "At least 5 MiB. Kept in memory until it was confirmed: part_size times parallel may have 48 MiB at most."},
		{Name: "parallel", Type: plugin.TypeInteger, Default: "3", Title: "Parts at the same time", Help: "1 to 8."},
		{Name: "retries", Type: plugin.TypeInteger, Default: "5", Title: "Retries", Help: "How often a request is sent again after a failure that may pass, 0 to 20."},
		{Name: "timeout", Type: plugin.TypeDuration, Default: "2m", Title: "Idle timeout", Help: "How long no byte may move in a request."},
		{Name: "ca_cert", Type: plugin.TypePEM, Title: "CA certificate", Help: "What the service's certificate is checked with, instead of the system's authorities."},
		{Name: "skip_ssl_validation", Type: plugin.TypeBool, Default: "false", Title: "Take any certificate", Help: "Then anybody on the way can read the keys' use and change what is sent."},
		{Name: "proxy", Type: plugin.TypeURL, Title: "Proxy", Example: "http://proxy.example:3128", Help: "http, https or socks5, with its port."},
		{Name: "socks5_proxy", Type: plugin.TypeString, Title: "SOCKS5 proxy", Example: "proxy.example:1080", Help: "Host and port; the same as a proxy with socks5."},
		{Name: "s3_host", Type: plugin.TypeString, Title: "Host", Help: "In place of url, reached by https."},
		{Name: "s3_port", Type: plugin.TypePort, Title: "Port", Help: "Of s3_host, 443 if left out."},
	}
}
