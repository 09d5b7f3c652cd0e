package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// checkInfo: the description is well formed, survives its wire form, is the
// same each time, and has the roles and abilities that the plugin shows.
func checkInfo(ctx context.Context, s *suite) error {
	info, err := s.opener.Info(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	parsed, err := plugin.ParseInfo(text)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(info, parsed); diff != "" {
		return fmt.Errorf("info changes when it is encoded:\n%s", diff)
	}
	again, err := s.opener.Info(ctx)
	if diff := cmp.Diff(info, again); err != nil || diff != "" {
		return fmt.Errorf("info differs from call to call: %v\n%s", err, diff)
	}
	return shield.FirstError(s.checkStoreRole(ctx, &info), s.checkTargetRole(ctx, &info))
}

func (s *suite) checkStoreRole(ctx context.Context, info *plugin.Info) error {
	if !info.Has(plugin.RoleStore) {
		_, err := s.opener.OpenStore(ctx, shield.Endpoint(`{}`), s.log)
		return wantCode("OpenStore of a plugin that is no store", err, shield.Invalid)
	}
	if s.cfg.StoreEndpoint == nil {
		return nil
	}
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	_, lists := st.(plugin.Lister)
	if lists != info.Can(plugin.ActionList) {
		return fmt.Errorf("info says list: %v, the store says %v", info.Can(plugin.ActionList), lists)
	}
	if _, keeps := st.(plugin.Keeper); keeps != info.Keeping {
		return fmt.Errorf("info says keeping: %v, the store says %v", info.Keeping, keeps)
	}
	return shield.FirstError(s.checkMissing(ctx, info, plugin.RoleStore, s.cfg.StoreEndpoint), checkAbilities(ctx, info, st))
}

func (s *suite) checkTargetRole(ctx context.Context, info *plugin.Info) error {
	if !info.Has(plugin.RoleTarget) {
		_, err := s.opener.OpenTarget(ctx, shield.Endpoint(`{}`), s.log)
		return wantCode("OpenTarget of a plugin that is no target", err, shield.Invalid)
	}
	if s.cfg.TargetEndpoint == nil {
		return nil
	}
	t, err := s.target(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return err
	}
	_, probes := t.(plugin.Prober)
	_, inspects := t.(plugin.Inspector)
	if probes != info.Can(plugin.ActionProbe) || inspects != info.Can(plugin.ActionInspect) {
		return fmt.Errorf("info says probe: %v and inspect: %v, the target says %v and %v",
			info.Can(plugin.ActionProbe), info.Can(plugin.ActionInspect), probes, inspects)
	}
	return shield.FirstError(s.checkMissing(ctx, info, plugin.RoleTarget, s.cfg.TargetEndpoint), checkAbilities(ctx, info, t))
}

// checkAbilities compares what info declares with what v has, and tries it.
// Each try is of a good endpoint.
func checkAbilities(ctx context.Context, info *plugin.Info, v any) error {
	t, tests := v.(plugin.Tester)
	val, validates := v.(plugin.Validator)
	if validates != info.Can(plugin.ActionValidate) {
		return fmt.Errorf("info says validate: %v, the value says %v", info.Can(plugin.ActionValidate), validates)
	}
	// A plugin may be able to test one of its roles only, so the value counts.
	if tests && !info.Can(plugin.ActionTest) {
		return errors.New("the value has Test, which info does not declare")
	}
	if validates {
		if err := val.Validate(ctx); err != nil {
			return fmt.Errorf("validate refuses the good endpoint: %w", err)
		}
	}
	if tests {
		if err := t.Test(ctx); err != nil {
			return fmt.Errorf("test refuses the good endpoint: %w", err)
		}
	}
	return nil
}

// checkMissing: without a field that it needs a plugin fails, with Invalid,
// and does not guess.
func (s *suite) checkMissing(ctx context.Context, info *plugin.Info, r plugin.Role, e shield.Endpoint) error {
	for n := range info.Fields {
		f := &info.Fields[n]
		if !f.Required || f.Default != "" || f.Mode != r && f.Mode != plugin.RoleBoth {
			continue
		}
		less, err := without(e, f.Name)
		if err != nil {
			return err
		}
		if err := wantCode("an endpoint without "+f.Name, s.use(ctx, r, less), shield.Invalid); err != nil {
			return err
		}
	}
	return nil
}

func without(e shield.Endpoint, field string) (shield.Endpoint, error) {
	m, err := e.Fields()
	if err != nil {
		return nil, err
	}
	delete(m, field)
	b, err := json.Marshal(m)
	return shield.Endpoint(b), err
}

// use opens a plugin and calls it.
func (s *suite) use(ctx context.Context, r plugin.Role, e shield.Endpoint) error {
	if r == plugin.RoleTarget {
		t, err := s.target(ctx, e)
		if err != nil {
			return err
		}
		return t.Backup(ctx, discard{})
	}
	st, err := s.opener.OpenStore(ctx, e, s.log)
	if err != nil {
		return err
	}
	rc, err := st.Get(ctx, s.cfg.Prefix+"missing")
	if err == nil {
		_ = rc.Close()
	}
	return err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func wantCode(what string, err error, code shield.Code) error {
	if errors.Is(err, code) {
		return nil
	}
	return fmt.Errorf("%s: the error is %v (%q), want one of code %q", what, err, shield.CodeOf(err), code)
}

// checkSecrets looks for the values of secret fields in all that the plugin
// has logged.
func checkSecrets(ctx context.Context, s *suite) error {
	info, err := s.opener.Info(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	text := strings.Join(s.logged, "\n")
	s.mu.Unlock()
	for r, e := range map[plugin.Role]shield.Endpoint{plugin.RoleTarget: s.cfg.TargetEndpoint, plugin.RoleStore: s.cfg.StoreEndpoint} {
		if e == nil {
			continue
		}
		m, err := e.Fields()
		if err != nil {
			return err
		}
		for _, name := range info.Secrets(r) {
			if v, _ := m[name].(string); len(v) > 3 && strings.Contains(text, v) {
				return fmt.Errorf("the value of %s was logged", name)
			}
		}
	}
	return nil
}
