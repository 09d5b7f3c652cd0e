package able_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

type all struct{ plugin.Store }

func (all) Backup(context.Context, io.Writer) error                       { return nil }
func (all) Restore(context.Context, io.Reader) error                      { return nil }
func (all) Test(context.Context) error                                    { return nil }
func (all) Validate(context.Context) error                                { return nil }
func (all) Probe(context.Context) (plugin.Probe, error)                   { return plugin.Probe{}, nil }
func (all) Inspect(context.Context, io.Reader) (plugin.Probe, error)      { return plugin.Probe{}, nil }
func (all) List(context.Context, string, func(plugin.Object) error) error { return nil }
func (all) PutUntil(context.Context, string, io.Reader, time.Time) (s plugin.Stored, err error) {
	return s, err
}

// bare have no optional interfaces, whatever is inside.
type (
	bareStore  struct{ plugin.Store }
	bareTarget struct{ plugin.Target }
)

// TestEverySet makes each set of abilities and looks for what it has.
func TestEverySet(t *testing.T) {
	for bits := range 16 {
		has := func(n int) bool { return bits>>n&1 == 1 }
		var s, gotStore able.StoreAbilities
		var tg, gotTarget able.TargetAbilities
		if has(0) {
			s.Lister, tg.Prober = all{}, all{}
		}
		if has(1) {
			s.Keeper, tg.Inspector = all{}, all{}
		}
		if has(2) {
			s.Tester, tg.Tester = all{}, all{}
		}
		if has(3) {
			s.Validator, tg.Validator = all{}, all{}
		}
		gotStore = able.StoreAbilitiesOf(able.Store(bareStore{}, s))
		gotTarget = able.TargetAbilitiesOf(able.Target(bareTarget{}, tg))
		for n, got := range []bool{gotStore.Lister != nil, gotStore.Keeper != nil, gotStore.Tester != nil, gotStore.Validator != nil} {
			if got != has(n) {
				t.Errorf("set %04b of a store: ability %d is %v", bits, n, got)
			}
		}
		for n, got := range []bool{gotTarget.Prober != nil, gotTarget.Inspector != nil, gotTarget.Tester != nil, gotTarget.Validator != nil} {
			if got != has(n) {
				t.Errorf("set %04b of a target: ability %d is %v", bits, n, got)
			}
		}
	}
}
