package plugintest

import "github.com/shieldhq/shield/plugin"

// withTargetAbilities returns t with the optional interfaces that inner has
// and no others.
func withTargetAbilities(t *faultyTarget, inner plugin.Target) plugin.Target {
	tester, tests := inner.(plugin.Tester)
	validator, validates := inner.(plugin.Validator)
	switch {
	case tests && validates:
		return struct {
			*faultyTarget
			plugin.Tester
			plugin.Validator
		}{t, tester, validator}
	case tests:
		return struct {
			*faultyTarget
			plugin.Tester
		}{t, tester}
	case validates:
		return struct {
			*faultyTarget
			plugin.Validator
		}{t, validator}
	}
	return t
}

// withStoreAbilities does the same for a store.
func withStoreAbilities(s *faultyStore, f *Faulty, inner plugin.Store) plugin.Store {
	lister, lists := inner.(plugin.Lister)
	tester, tests := inner.(plugin.Tester)
	validator, validates := inner.(plugin.Validator)
	l := faultyLister{f, lister}
	switch [3]bool{lists, tests, validates} {
	case [3]bool{true, false, false}:
		return struct {
			*faultyStore
			faultyLister
		}{s, l}
	case [3]bool{false, true, false}:
		return struct {
			*faultyStore
			plugin.Tester
		}{s, tester}
	case [3]bool{false, false, true}:
		return struct {
			*faultyStore
			plugin.Validator
		}{s, validator}
	case [3]bool{true, true, false}:
		return listingTester{s, l, tester}
	case [3]bool{true, false, true}:
		return listingValidator{s, l, validator}
	case [3]bool{false, true, true}:
		return testingValidator{s, tester, validator}
	case [3]bool{true, true, true}:
		return able{s, l, tester, validator}
	}
	return s
}

type listingTester struct {
	*faultyStore
	faultyLister
	plugin.Tester
}

type listingValidator struct {
	*faultyStore
	faultyLister
	plugin.Validator
}

type testingValidator struct {
	*faultyStore
	plugin.Tester
	plugin.Validator
}

type able struct {
	*faultyStore
	faultyLister
	plugin.Tester
	plugin.Validator
}
