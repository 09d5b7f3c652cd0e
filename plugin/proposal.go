package plugin

import "github.com/shieldhq/shield"

// A Proposal is what installing a module would mean, for the operator to
// agree to.
type Proposal struct {
	Name   string `json:"name"`   // under which it would be installed
	Digest string `json:"digest"` // of the module
	Info   Info   `json:"info"`
	// Asks says in plain English what the plugin asks for.
	Asks []string `json:"asks"`
	// New is what of it goes beyond the grant of the version that is
	// installed: all of it if there is none.
	New []string `json:"new"`
	// Replaces is the digest of the version that is current now.
	Replaces string `json:"replaces,omitempty"`
}

// NewProposal describes a module. current may be nil; its grant is what the
// operator has agreed to so far.
func NewProposal(name string, info Info, current *shield.Module) (*Proposal, error) {
	needs, err := ParseCapabilities(info.Capabilities)
	if err != nil {
		return nil, err
	}
	p := &Proposal{Name: name, Digest: info.Digest, Info: info, Asks: needs.Words(), New: needs.Words()}
	if current == nil {
		return p, nil
	}
	grant, err := ParseGrant(current.Grant)
	if err != nil {
		return nil, err
	}
	p.Replaces, p.New = current.Digest, Diff(grant.Bound(), needs).Words()
	return p, nil
}
