package main

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// passwordLimit is how much of a file is looked at for a password.
const passwordLimit = 64 << 10

// password reads a password: the first line of a file, of standard input for
// -, or asked for on the terminal, twice if it is a new one. It is never taken
// from the command line, which every user of the host can see.
func (e *env) password(file, prompt string, twice bool) (string, error) {
	switch file {
	case "":
		return e.askPassword(prompt, twice)
	case "-":
		return firstLine(e.in)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", shield.FieldErrorf("password-file", "%v", err)
	}
	defer f.Close()
	return firstLine(f)
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, passwordLimit)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", shield.FieldErrorf("password-file", "%v", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", shield.FieldErrorf("password-file", "has no password in its first line")
	}
	return line, nil
}

func (e *env) askPassword(prompt string, twice bool) (string, error) {
	ask := newAsker(e.in, e.err)
	if ask == nil {
		return "", shield.FieldErrorf("password-file", "is missing, and there is no terminal to ask for the password on: a file is wanted, or - for standard input")
	}
	one, _, err := ask.ask(&question{label: prompt, secret: true})
	if err != nil || !twice {
		return one, err
	}
	two, _, err := ask.ask(&question{label: "once more", secret: true})
	if err == nil && one != two {
		err = shield.FieldErrorf("password", "is not the same both times")
	}
	return one, err
}

// newName is the name of what is made by it.
type newName struct {
	Name    string `arg:"" help:"Its name, unique among its kind."`
	Summary string `help:"What it is for."`
}

// otherName is what can be changed of all that is not for shield apply, and so
// not for the editor.
type otherName struct {
	refArg
	Name    *string `help:"New name."`
	Summary *string `help:"What it is for."`
}

func (n *otherName) patch() patch { return patch{}.set("name", n.Name).set("summary", n.Summary) }

type createUser struct {
	newName
	Role         string `help:"What the user may do: viewer (look), operator (run, restore), engineer (configure) or admin." required:"" placeholder:"ROLE"`
	PasswordFile string `help:"File with the password in its first line, or - for standard input; none: asked for on the terminal." placeholder:"FILE|-"`
}

func (c *createUser) Run(e *env) error {
	// Asked for last: nothing is asked for in vain.
	if err := (&shield.User{Meta: shield.Meta{Name: c.Name, Summary: c.Summary}, Role: shield.Role(c.Role)}).Validate(); err != nil {
		return err
	}
	password, err := e.password(c.PasswordFile, "password of "+plain(c.Name), true)
	if err != nil {
		return err
	}
	made, err := e.client.CreateUser(e.ctx, server.UserRequest{Name: c.Name, Summary: c.Summary, Role: shield.Role(c.Role), Password: password})
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(made)
	}
	_, err = fmt.Fprintf(e.out, "created user %s %s\n", plain(made.Name), made.UUID)
	return err
}

type editUser struct {
	otherName
	Role         *string `help:"What the user may do: viewer, operator, engineer or admin." placeholder:"ROLE"`
	Disabled     *bool   `help:"Let neither the password nor a token of the user in." negatable:""`
	Password     bool    `help:"Ask for a new password on the terminal." xor:"password"`
	PasswordFile string  `help:"File with a new password in its first line, or - for standard input." placeholder:"FILE|-" xor:"password"`
}

func (c *editUser) Run(e *env) error {
	p := c.patch().set("role", c.Role)
	if c.Disabled != nil {
		p["disabled"] = *c.Disabled
	}
	if c.Password || c.PasswordFile != "" {
		password, err := e.password(c.PasswordFile, "new password", true)
		if err != nil {
			return err
		}
		p["password"] = password
	}
	return edit(e, e.client.Users(), c.Ref, p, userView)
}

type deleteUser struct{ refArg }

func (c *deleteUser) Run(e *env) error { return remove(e, e.client.Users(), c.Ref, "user") }

type listUsers struct{}

func (c *listUsers) Run(e *env) error {
	return list(e, e.client.Users(), nil, userView, "users: shield create user --help tells how to make one")
}

type showUser struct{ refArg }

func (c *showUser) Run(e *env) error { return show(e, e.client.Users(), c.Ref, userView) }

var userView = view[shield.User]{
	kind: "user", columns: []string{"name", "role", "disabled", "summary"},
	row: func(u *shield.User) []string {
		return []string{u.Name, string(u.Role), yes(u.Disabled), u.Summary}
	},
	uuid: metaUUID(func(u *shield.User) *shield.Meta { return &u.Meta }),
}

type createToken struct {
	newName
	Role string `help:"What it may do at most; none: all that who makes it may." placeholder:"ROLE"`
	TTL  period `name:"ttl" help:"How long it works, like 90d; none: until it is deleted." placeholder:"TIME"`
	User string `help:"The user in whose name it acts; none: who makes it." placeholder:"USER"`
}

func (c *createToken) Run(e *env) error {
	t := server.TokenRequest{Name: c.Name, Summary: c.Summary, Role: shield.Role(c.Role), User: c.User}
	if c.TTL > 0 {
		t.ExpiresAt = time.Now().Add(time.Duration(c.TTL) * time.Second)
	}
	made, err := e.client.CreateToken(e.ctx, t)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(made)
	}
	fmt.Fprintf(e.err, "created token %s %s. This is its value, shown this once:\n", plain(made.Name), made.UUID)
	_, err = fmt.Fprintln(e.out, made.Value)
	return err
}

type editToken struct {
	otherName
	Role *string `help:"What it may do at most: viewer, operator, engineer or admin." placeholder:"ROLE"`
	TTL  *period `name:"ttl" help:"How long it works from now on, like 90d; 0: until it is deleted." placeholder:"TIME"`
}

func (c *editToken) Run(e *env) error {
	p := c.patch().set("role", c.Role)
	if c.TTL != nil {
		p["expires_at"] = time.Time{}
		if *c.TTL > 0 {
			p["expires_at"] = time.Now().Add(time.Duration(*c.TTL) * time.Second).UTC()
		}
	}
	return edit(e, e.client.Tokens(), c.Ref, p, tokenView)
}

type deleteToken struct{ refArg }

func (c *deleteToken) Run(e *env) error { return remove(e, e.client.Tokens(), c.Ref, "token") }

type listTokens struct {
	User string `help:"Only those of a user." placeholder:"USER"`
}

func (c *listTokens) Run(e *env) error {
	return list(e, e.client.Tokens(), with(url.Values{}, "user", c.User), tokenView, "tokens")
}

type showToken struct{ refArg }

func (c *showToken) Run(e *env) error { return show(e, e.client.Tokens(), c.Ref, tokenView) }

var tokenView = view[shield.Token]{
	kind: "token", columns: []string{"name", "user", "role", "begins with", "expires", "last used", "summary"},
	row: func(t *shield.Token) []string {
		return []string{t.Name, dash(t.UserName), string(t.Role), t.Prefix, moment(t.ExpiresAt), moment(t.UsedAt), t.Summary}
	},
	uuid: metaUUID(func(t *shield.Token) *shield.Meta { return &t.Meta }),
}

type passwdCmd struct {
	OldFile string `help:"File with the password as it is in its first line; none: asked for on the terminal." placeholder:"FILE"`
	NewFile string `help:"File with the new password in its first line; none: asked for on the terminal." placeholder:"FILE"`
}

func (c *passwdCmd) Run(e *env) error {
	if c.OldFile == "-" && c.NewFile == "-" {
		return shield.FieldErrorf("new-file", "is standard input, and so is old-file: one of them must be another")
	}
	old, err := e.password(c.OldFile, "password", false)
	if err != nil {
		return err
	}
	fresh, err := e.password(c.NewFile, "new password", true)
	if err != nil {
		return err
	}
	if err := e.client.ChangePassword(e.ctx, old, fresh); err != nil || e.json {
		return err
	}
	_, err = fmt.Fprintln(e.out, "changed the password. Browsers have to log in again, tokens go on working.")
	return err
}
