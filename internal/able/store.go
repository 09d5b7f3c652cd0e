// Package able makes targets and stores that have exactly the optional
// interfaces that they should have. Hosts find abilities by type assertion, so
// a wrapper must neither hide one nor show one that it cannot serve, and in Go
// each set of methods is a type of its own.
package able

import "github.com/shieldhq/shield/plugin"

// StoreAbilities are the optional interfaces of a store; nil stands for one
// that it lacks.
type StoreAbilities struct {
	Lister    plugin.Lister
	Keeper    plugin.Keeper
	Tester    plugin.Tester
	Validator plugin.Validator
}

// StoreAbilitiesOf returns the optional interfaces that v has.
func StoreAbilitiesOf(v plugin.Store) StoreAbilities {
	var a StoreAbilities
	a.Lister, _ = v.(plugin.Lister)
	a.Keeper, _ = v.(plugin.Keeper)
	a.Tester, _ = v.(plugin.Tester)
	a.Validator, _ = v.(plugin.Validator)
	return a
}

// Store returns what does what base does and has the optional interfaces of a
// that are not nil, and no others.
func Store(base plugin.Store, a StoreAbilities) plugin.Store {
	switch [4]bool{a.Lister != nil, a.Keeper != nil, a.Tester != nil, a.Validator != nil} {
	case [4]bool{true, false, false, false}:
		return struct {
			plugin.Store
			plugin.Lister
		}{base, a.Lister}
	case [4]bool{false, true, false, false}:
		return struct {
			plugin.Store
			plugin.Keeper
		}{base, a.Keeper}
	case [4]bool{true, true, false, false}:
		return struct {
			plugin.Store
			plugin.Lister
			plugin.Keeper
		}{base, a.Lister, a.Keeper}
	case [4]bool{false, false, true, false}:
		return struct {
			plugin.Store
			plugin.Tester
		}{base, a.Tester}
	case [4]bool{true, false, true, false}:
		return struct {
			plugin.Store
			plugin.Lister
			plugin.Tester
		}{base, a.Lister, a.Tester}
	case [4]bool{false, true, true, false}:
		return struct {
			plugin.Store
			plugin.Keeper
			plugin.Tester
		}{base, a.Keeper, a.Tester}
	case [4]bool{true, true, true, false}:
		return struct {
			plugin.Store
			plugin.Lister
			plugin.Keeper
			plugin.Tester
		}{base, a.Lister, a.Keeper, a.Tester}
	case [4]bool{false, false, false, true}:
		return struct {
			plugin.Store
			plugin.Validator
		}{base, a.Validator}
	case [4]bool{true, false, false, true}:
		return struct {
			plugin.Store
			plugin.Lister
			plugin.Validator
		}{base, a.Lister, a.Validator}
	case [4]bool{false, true, false, true}:
		return struct {
			plugin.Store
			plugin.Keeper
			plugin.Validator
		}{base, a.Keeper, a.Validator}
	case [4]bool{true, true, false, true}:
		return struct {
			plugin.Store
			plugin.Lister
			plugin.Keeper
			plugin.Validator
		}{base, a.Lister, a.Keeper, a.Validator}
	case [4]bool{false, false, true, true}:
		return struct {
			plugin.Store
			plugin.Tester
			plugin.Validator
		}{base, a.Tester, a.Validator}
	case [4]bool{true, false, true, true}:
		return struct {
			plugin.Store
			plugin.Lister
			plugin.Tester
			plugin.Validator
		}{base, a.Lister, a.Tester, a.Validator}
	case [4]bool{false, true, true, true}:
		return struct {
			plugin.Store
			plugin.Keeper
			plugin.Tester
			plugin.Validator
		}{base, a.Keeper, a.Tester, a.Validator}
	case [4]bool{true, true, true, true}:
		return struct {
			plugin.Store
			plugin.Lister
			plugin.Keeper
			plugin.Tester
			plugin.Validator
		}{base, a.Lister, a.Keeper, a.Tester, a.Validator}
	}
	return base
}
