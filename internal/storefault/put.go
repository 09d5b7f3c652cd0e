package storefault

import (
	"maps"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
)

// An upload fault happens to one request, and then to all. Once it must be
// survived, without end it must be told.
type upload struct {
	fault faultproxy.Fault
	code  shield.Code // of the error if it does not end
	says  string
	body  bool // only for stages with a body
	once  bool // only once: without end it does no harm, or nobody could tell
}

func uploads(cfg *Config, s Stage) map[string]upload {
	faults := map[string]upload{
		"reset before the request":      {fault: faultproxy.ResetRequest(0), code: shield.Unavailable},
		"reset within the request":      {fault: faultproxy.ResetRequest(s.Body / 2), code: shield.Unavailable, body: true},
		"reset after the request":       {fault: faultproxy.ResetRequest(1 << 40), code: shield.Unavailable, body: true, once: true},
		"answer lost":                   {fault: faultproxy.LoseAnswer(), once: true},
		"answer reset":                  {fault: faultproxy.ResetResponse(0), once: true},
		"request stalls":                {fault: faultproxy.StallRequest(s.Body / 2), code: shield.Unavailable, says: "no byte moved", body: true},
		"answer stalls":                 {fault: faultproxy.StallResponse(-1), once: true},
		"500":                           {fault: faultproxy.Say(cfg.Answer(Internal)), code: shield.Unavailable},
		"503 with Retry-After":          {fault: faultproxy.Say(retry(cfg.Answer(Unavailable))), once: true},
		"503":                           {fault: faultproxy.Say(cfg.Answer(Unavailable)), code: shield.Unavailable},
		"429 with Retry-After":          {fault: faultproxy.Say(retry(cfg.Answer(TooMany))), once: true},
		"503 at once":                   {fault: faultproxy.SayAtOnce(cfg.Answer(Unavailable)), code: shield.Unavailable},
		"500 though it was done":        {fault: faultproxy.SayAfter(cfg.Answer(Internal)), once: true},
		"server closes after it":        {fault: faultproxy.CloseAfter(), once: true},
		"plain text in place of answer": {fault: faultproxy.Status(502, 0), code: shield.Unavailable},
	}
	if s.Compared {
		faults["wrong bytes"] = upload{fault: faultproxy.FlipRequest(s.Body / 2), code: shield.Corrupt, says: "changed on their way", body: true}
	}
	return faults
}

// told is the code of the error if a fault that is over was not survived.
func told(u upload) shield.Code {
	if u.code == "" {
		return shield.Unavailable
	}
	return u.code
}

func retry(a faultproxy.Answer) faultproxy.Answer {
	a.Header = maps.Clone(a.Header)
	if a.Header == nil {
		a.Header = map[string][]string{}
	}
	a.Header.Set("Retry-After", "1")
	return a
}

func runPuts(t *testing.T, cfg *Config) {
	for stage, s := range cfg.Stages {
		for name, u := range uploads(cfg, s) {
			if u.body && s.Body == 0 {
				continue
			}
			t.Run(stage+"/"+name+"/once", func(t *testing.T) {
				b := newBench(t, cfg, serve(t, cfg))
				b.proxy.Set(faultproxy.Rule{Match: s.Match, Times: 1, Fault: u.fault})
				from := time.Now()
				err := b.put()
				b.hit()
				if err != nil && s.Streamed {
					b.wrong(err, "put", told(u), "")
					b.nothing()
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if name == "503 with Retry-After" && time.Since(from) < time.Second {
					t.Error("Retry-After was not honoured")
				}
				b.whole()
			})
			if u.once {
				continue
			}
			t.Run(stage+"/"+name+"/always", func(t *testing.T) {
				b := newBench(t, cfg, serve(t, cfg))
				b.proxy.Set(faultproxy.Rule{Match: s.Match, Fault: u.fault})
				b.wrong(b.put(), "put", u.code, u.says)
				b.hit()
				b.nothing()
			})
		}
		t.Run(stage+"/success that is none", func(t *testing.T) {
			b := newBench(t, cfg, serve(t, cfg))
			b.proxy.Set(faultproxy.Rule{Match: s.Match, Fault: faultproxy.Say(cfg.Lie(stage))})
			if err := b.put(); err == nil {
				t.Error("the lie was believed")
			} else {
				b.wrong(err, "put", shield.CodeOf(err), "")
			}
			b.hit()
			b.nothing()
		})
		for kind, c := range map[Error]struct {
			code shield.Code
			says string
		}{
			Denied: {shield.Forbidden, ""}, ClockSkew: {shield.Unauthorized, "clock"}, Expired: {shield.Unauthorized, "expired"},
		} {
			t.Run(stage+"/"+string(kind)+" half way", func(t *testing.T) {
				b := newBench(t, cfg, serve(t, cfg))
				skip := 0
				if s.Body > 0 && !s.Streamed {
					skip = 1
				}
				b.proxy.Set(faultproxy.Rule{Match: s.Match, Skip: skip, Fault: faultproxy.Say(cfg.Answer(kind))})
				b.wrong(b.put(), "put", c.code, c.says)
				b.hit()
				b.nothing()
			})
		}
	}
	t.Run("slow server", func(t *testing.T) {
		b := newBench(t, cfg, serve(t, cfg))
		b.proxy.Set(faultproxy.Rule{Fault: faultproxy.Slow(16 << 20)})
		if err := b.put(); err != nil {
			t.Fatal(err)
		}
		b.whole()
	})
}
