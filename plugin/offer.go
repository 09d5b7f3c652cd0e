package plugin

import "context"

// An Offer is a plugin of a host: its name in the registry and its
// description, or why it has none.
type Offer struct {
	Name  string `json:"name"`
	Info  *Info  `json:"info,omitempty"`
	Error string `json:"error,omitempty"`
}

// A Describer tells what plugins there are. Registry is one.
type Describer interface {
	Names() []string
	Info(ctx context.Context, name string) (Info, error)
}

var _ Describer = (*Registry)(nil)

// Offers returns what there is, by name. explain turns the error of a plugin
// that cannot describe itself into text.
func Offers(ctx context.Context, r Describer, explain func(error) string) []Offer {
	offers := []Offer{}
	for _, name := range r.Names() {
		o := Offer{Name: name}
		if info, err := r.Info(ctx, name); err != nil {
			o.Error = explain(err)
		} else {
			o.Info = &info
		}
		offers = append(offers, o)
	}
	return offers
}
