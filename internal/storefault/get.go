package storefault

import (
	"bytes"
	"crypto/tls"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
)

func runGets(t *testing.T, cfg *Config) {
	half := int64(cfg.Size / 2)
	for name, c := range map[string]struct {
		fault faultproxy.Fault
		code  shield.Code
		once  bool // without end it does no harm
	}{
		"reset before the request": {faultproxy.ResetRequest(0), shield.Unavailable, false},
		"answer lost":              {faultproxy.LoseAnswer(), shield.Unavailable, false},
		"reset after the header":   {faultproxy.ResetResponse(0), shield.Unavailable, false},
		"reset half way":           {faultproxy.ResetResponse(half), "", true},
		"truncated":                {faultproxy.CloseResponse(half), "", true},
		"stalls":                   {faultproxy.StallResponse(-1), shield.Unavailable, false},
		"stalls half way":          {faultproxy.StallResponse(half), "", true},
		"503":                      {faultproxy.Say(cfg.Answer(Unavailable)), shield.Unavailable, false},
		"429 with Retry-After":     {faultproxy.Say(retry(cfg.Answer(TooMany))), "", true},
		"500":                      {faultproxy.Say(cfg.Answer(Internal)), shield.Unavailable, false},
		"slow server":              {faultproxy.Slow(16 << 20), "", true},
		"server closes after it":   {faultproxy.CloseAfter(), "", true},
	} {
		t.Run(name+"/once", func(t *testing.T) {
			b := stored(t, cfg)
			b.proxy.Set(faultproxy.Rule{Match: cfg.Download, Times: 1, Fault: c.fault})
			got, err := b.get()
			switch {
			case err == nil && !bytes.Equal(got, b.data()):
				t.Errorf("%d bytes of %d, and no error", len(got), cfg.Size)
			case err != nil && cfg.Resumes:
				t.Error(err)
			case err != nil:
				b.wrong(err, "get", shield.Unavailable, "")
			}
			b.hit()
			b.whole()
		})
		if c.once {
			continue
		}
		t.Run(name+"/always", func(t *testing.T) {
			b := stored(t, cfg)
			b.proxy.Set(faultproxy.Rule{Match: cfg.Download, Fault: c.fault})
			_, err := b.get()
			b.wrong(err, "get", c.code, "")
			b.hit()
			b.whole()
		})
	}
	t.Run("shorter than it is", func(t *testing.T) {
		b := stored(t, cfg)
		b.proxy.Set(faultproxy.Rule{Match: cfg.Download, Fault: faultproxy.Shorten(half)})
		if got, err := b.get(); err == nil && !bytes.Equal(got, b.data()) {
			t.Errorf("%d bytes of %d, and no error", len(got), cfg.Size)
		}
		b.hit()
		b.whole()
	})
	t.Run("denied", func(t *testing.T) {
		b := stored(t, cfg)
		b.proxy.Set(faultproxy.Rule{Match: cfg.Download, Fault: faultproxy.Say(cfg.Answer(Denied))})
		_, err := b.get()
		b.wrong(err, "get", shield.Forbidden, "")
		b.whole()
	})
}

// stored is a bench with a blob.
func stored(t *testing.T, cfg *Config) *bench {
	t.Helper()
	b := newBench(t, cfg, serve(t, cfg))
	if err := b.put(); err != nil {
		t.Fatal(err)
	}
	return b
}

func runDeletes(t *testing.T, cfg *Config) {
	for name, c := range map[string]struct {
		fault faultproxy.Fault
		code  shield.Code
	}{
		"no permission": {faultproxy.Say(cfg.Answer(Denied)), shield.Forbidden},
		"reset":         {faultproxy.ResetRequest(0), shield.Unavailable},
		"503":           {faultproxy.Say(cfg.Answer(Unavailable)), shield.Unavailable},
		"stalls":        {faultproxy.StallRequest(1 << 40), shield.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			b := stored(t, cfg)
			b.proxy.Set(faultproxy.Rule{Match: cfg.Remove, Fault: c.fault})
			b.wrong(b.store.Delete(b.ctx, key), "purge", c.code, "")
			b.hit()
			b.whole()
		})
	}
	t.Run("answer lost", func(t *testing.T) {
		b := stored(t, cfg)
		b.proxy.Set(faultproxy.Rule{Match: cfg.Remove, Times: 1, Fault: faultproxy.LoseAnswer()})
		if err := b.store.Delete(b.ctx, key); err != nil {
			t.Error(err)
		}
		b.nothing()
	})
	t.Run("success that is none", func(t *testing.T) {
		b := stored(t, cfg)
		b.proxy.Set(faultproxy.Rule{Match: cfg.Remove, Fault: faultproxy.Say(cfg.Lie("remove"))})
		if err := b.store.Delete(b.ctx, key); err == nil {
			t.Error("the lie was believed")
		} else {
			b.wrong(err, "purge", shield.CodeOf(err), "")
		}
		b.whole()
	})
}

func runEndpoints(t *testing.T, cfg *Config) {
	t.Run("connection refused", func(t *testing.T) {
		b := newBench(t, cfg, serve(t, cfg))
		b.proxy.Down()
		b.wrong(b.put(), "put", shield.Unavailable, "refused")
		_, err := b.get()
		b.wrong(err, "get", shield.Unavailable, "refused")
		b.wrong(b.store.Delete(b.ctx, key), "", shield.Unavailable, "refused")
		b.nothing()
	})
	for name, c := range cfg.Broken {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, cfg, serve(t, cfg))
			b.open(c.Endpoint(t, b.proxy.URL, b.prefix))
			b.wrong(b.put(), "put", c.Code, c.Says)
			_, err := b.get()
			b.wrong(err, "get", c.Code, c.Says)
			b.wrong(b.store.Delete(b.ctx, key), "", c.Code, c.Says)
		})
	}
	if cfg.Authority == nil {
		return
	}
	for name, config := range map[string]func(testing.TB) *tls.Config{
		"certificate of another name": func(t testing.TB) *tls.Config { return cfg.Authority.Serve(t, "elsewhere.example") },
		"certificate has expired":     cfg.Authority.Expired,
		"certificate of nobody":       func(t testing.TB) *tls.Config { return faultproxy.NewAuthority(t).Serve(t) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, cfg, config(t))
			b.wrong(b.put(), "put", shield.Unavailable, "certificate")
			b.nothing()
		})
	}
}
