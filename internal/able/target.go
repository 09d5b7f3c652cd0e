package able

import "github.com/shieldhq/shield/plugin"

// TargetAbilities are the optional interfaces of a target; nil stands for one
// that it lacks.
type TargetAbilities struct {
	Prober    plugin.Prober
	Inspector plugin.Inspector
	Tester    plugin.Tester
	Validator plugin.Validator
}

// TargetAbilitiesOf returns the optional interfaces that v has.
func TargetAbilitiesOf(v plugin.Target) TargetAbilities {
	var a TargetAbilities
	a.Prober, _ = v.(plugin.Prober)
	a.Inspector, _ = v.(plugin.Inspector)
	a.Tester, _ = v.(plugin.Tester)
	a.Validator, _ = v.(plugin.Validator)
	return a
}

// Target returns what does what base does and has the optional interfaces of a
// that are not nil, and no others.
func Target(base plugin.Target, a TargetAbilities) plugin.Target {
	switch [4]bool{a.Prober != nil, a.Inspector != nil, a.Tester != nil, a.Validator != nil} {
	case [4]bool{true, false, false, false}:
		return struct {
			plugin.Target
			plugin.Prober
		}{base, a.Prober}
	case [4]bool{false, true, false, false}:
		return struct {
			plugin.Target
			plugin.Inspector
		}{base, a.Inspector}
	case [4]bool{true, true, false, false}:
		return struct {
			plugin.Target
			plugin.Prober
			plugin.Inspector
		}{base, a.Prober, a.Inspector}
	case [4]bool{false, false, true, false}:
		return struct {
			plugin.Target
			plugin.Tester
		}{base, a.Tester}
	case [4]bool{true, false, true, false}:
		return struct {
			plugin.Target
			plugin.Prober
			plugin.Tester
		}{base, a.Prober, a.Tester}
	case [4]bool{false, true, true, false}:
		return struct {
			plugin.Target
			plugin.Inspector
			plugin.Tester
		}{base, a.Inspector, a.Tester}
	case [4]bool{true, true, true, false}:
		return struct {
			plugin.Target
			plugin.Prober
			plugin.Inspector
			plugin.Tester
		}{base, a.Prober, a.Inspector, a.Tester}
	case [4]bool{false, false, false, true}:
		return struct {
			plugin.Target
			plugin.Validator
		}{base, a.Validator}
	case [4]bool{true, false, false, true}:
		return struct {
			plugin.Target
			plugin.Prober
			plugin.Validator
		}{base, a.Prober, a.Validator}
	case [4]bool{false, true, false, true}:
		return struct {
			plugin.Target
			plugin.Inspector
			plugin.Validator
		}{base, a.Inspector, a.Validator}
	case [4]bool{true, true, false, true}:
		return struct {
			plugin.Target
			plugin.Prober
			plugin.Inspector
			plugin.Validator
		}{base, a.Prober, a.Inspector, a.Validator}
	case [4]bool{false, false, true, true}:
		return struct {
			plugin.Target
			plugin.Tester
			plugin.Validator
		}{base, a.Tester, a.Validator}
	case [4]bool{true, false, true, true}:
		return struct {
			plugin.Target
			plugin.Prober
			plugin.Tester
			plugin.Validator
		}{base, a.Prober, a.Tester, a.Validator}
	case [4]bool{false, true, true, true}:
		return struct {
			plugin.Target
			plugin.Inspector
			plugin.Tester
			plugin.Validator
		}{base, a.Inspector, a.Tester, a.Validator}
	case [4]bool{true, true, true, true}:
		return struct {
			plugin.Target
			plugin.Prober
			plugin.Inspector
			plugin.Tester
			plugin.Validator
		}{base, a.Prober, a.Inspector, a.Tester, a.Validator}
	}
	return base
}
