package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// firstCore is what the core is called that login makes if there is none.
const firstCore = "default"

type loginCmd struct {
	Name         string `arg:"" optional:"" help:"Name of the user; none: asked for on the terminal."`
	PasswordFile string `help:"File with the password in its first line, or - for standard input; none: asked for on the terminal." placeholder:"FILE|-"`
	TTL          period `name:"ttl" help:"How long the token that is kept works; 0: until logout." default:"30d" placeholder:"TIME"`
}

// Run logs in with the password, has a token made, and keeps that in the
// configuration.
func (c *loginCmd) Run(e *env) error {
	here := e.place
	name := cmp.Or(here.name, firstCore)
	if here.name == "" && e.cores.Cores[name] != nil {
		return shield.FieldErrorf("core", "is wanted: %s is not the address of a core that is known; shield core add NAME %s makes it one", plain(here.API), plain(here.API))
	}
	old := here.Token
	here.Token, here.TokenFile, here.CA = "", "", cmp.Or(e.flags.CA, here.CA)
	client, err := here.client()
	if err != nil {
		return err
	}
	if c.Name == "" {
		ask := newAsker(e.in, e.err)
		if ask == nil {
			return shield.FieldErrorf("name", "is missing: the name of a user is wanted")
		}
		if c.Name, _, err = ask.ask(&question{label: "user"}); err != nil {
			return err
		}
	}
	password, err := e.password(c.PasswordFile, "password of "+plain(c.Name), false)
	if err != nil {
		return err
	}
	who, token, err := c.token(e, client, password)
	if err != nil {
		return err
	}
	if here.CA, err = absolute("ca", here.CA); err != nil {
		return err
	}
	here.Token = token.Value
	if err := e.keep(name, here.core); err != nil {
		return errors.Join(err, client.With(shield.Secret(token.Value)).Logout(e.ctx))
	}
	if old != "" { // what it replaces; it may have ended by itself
		_ = client.With(shield.Secret(old)).Logout(e.ctx)
	}
	if e.json {
		return e.printJSON(who)
	}
	_, err = fmt.Fprintf(e.out, "logged in to %s (core %s) as %s, %s\n", plain(here.API), plain(name), plain(who.Name), who.Role)
	return err
}

// keep changes a core in the configuration, as it is by now.
func (e *env) keep(name string, c core) error {
	now, err := loadCores(e.flags.Config)
	if err != nil {
		return err
	}
	now.Cores[name] = &c
	now.Current = cmp.Or(now.Current, name)
	return now.save()
}

// token logs in, makes a token and logs out again.
func (c *loginCmd) token(e *env, client *server.Client, password string) (*shield.Principal, *shield.Token, error) {
	who, in, err := client.Login(e.ctx, c.Name, password)
	if err != nil {
		return nil, nil, err
	}
	host, _ := os.Hostname()
	t := server.TokenRequest{Name: fmt.Sprintf("%.40s on %.30s %s", c.Name, cmp.Or(host, "some host"), strings.ToLower(rand.Text()[:6])), Summary: "made by shield login"}
	if c.TTL > 0 {
		t.ExpiresAt = time.Now().Add(time.Duration(c.TTL) * time.Second)
	}
	made, err := in.CreateToken(e.ctx, t)
	return who, made, errors.Join(err, in.Logout(e.ctx))
}

type logoutCmd struct{}

// Run forgets the token even if the daemon does not know it any more.
func (c *logoutCmd) Run(e *env) error {
	here := e.place
	if here.Token == "" {
		return shield.Errorf(shield.NotFound, "", "there is no login to %s in %s", plain(here.API), e.cores.path)
	}
	here.CA = cmp.Or(e.flags.CA, here.CA)
	client, err := here.client()
	if err != nil {
		return err
	}
	if err := client.Logout(e.ctx); err != nil && !errors.Is(err, shield.Unauthorized) {
		return err
	}
	left := e.place.core
	left.Token = ""
	if err := e.keep(here.name, left); err != nil || e.json {
		return err
	}
	_, err = fmt.Fprintf(e.out, "logged out of %s (core %s)\n", plain(here.API), plain(here.name))
	return err
}

type whoamiCmd struct{}

func (c *whoamiCmd) Run(e *env) error {
	who, err := e.client.Whoami(e.ctx)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(who)
	}
	_, err = fmt.Fprintf(e.out, "%s, %s, at %s\n", plain(who.Name), who.Role, plain(e.place.API))
	return err
}
