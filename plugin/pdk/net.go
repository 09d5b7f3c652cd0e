package pdk

// TLSConfig says how to be sure of the other side. The zero value compares
// the certificate with the host of the address, by the roots of the system.
type TLSConfig struct {
	Name     string   `json:"name,omitempty"`     // instead of the host of the address
	CA       string   `json:"ca,omitempty"`       // roots in PEM form, instead of the system's
	Cert     string   `json:"cert,omitempty"`     // of ours, in PEM form
	Key      string   `json:"key,omitempty"`      // for Cert
	Insecure bool     `json:"insecure,omitempty"` // take any certificate
	ALPN     []string `json:"alpn,omitempty"`
}
