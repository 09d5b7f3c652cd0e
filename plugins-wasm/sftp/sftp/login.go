package sftp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/shieldhq/shield"
)

// login is how the user proves to be who it is.
type login struct {
	password   string
	passphrase string
	signer     ssh.Signer
	keyFile    string // read when it is needed
}

func newLogin(c *config) (*login, error) {
	l := &login{password: c.Password, passphrase: c.Passphrase, keyFile: c.PrivateKeyFile}
	switch {
	case c.PrivateKey != "" && c.PrivateKeyFile != "":
		return nil, shield.FieldErrorf("endpoint.private_key_file", "is set, and private_key is too: one of them is wanted")
	case c.Password == "" && c.PrivateKey == "" && c.PrivateKeyFile == "":
		return nil, shield.FieldErrorf("endpoint.private_key", "is missing, and password and private_key_file are too: one of them is wanted")
	case c.Passphrase != "" && c.PrivateKey == "" && c.PrivateKeyFile == "":
		return nil, shield.FieldErrorf("endpoint.passphrase", "is set, and there is no private key that it could open")
	case c.PrivateKey == "":
		return l, nil
	}
	var err error
	l.signer, err = l.parse([]byte(c.PrivateKey), "private_key")
	return l, err
}

// parse reads a private key. The errors do not quote it.
func (l *login) parse(text []byte, field string) (signer ssh.Signer, err error) {
	if l.passphrase != "" {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(l.passphrase))
	} else {
		signer, err = ssh.ParsePrivateKey(text)
	}
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, nil
	case errors.As(err, &locked):
		return nil, shield.FieldErrorf("endpoint.passphrase", "is missing: the private key has one")
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, shield.FieldErrorf("endpoint.passphrase", "does not open the private key")
	case l.passphrase != "" && isPlain(text):
		return nil, shield.FieldErrorf("endpoint.passphrase", "is set, and the private key has none: leave it out")
	}
	return nil, shield.FieldErrorf("endpoint."+field, "is not a private key that can be read: one as ssh-keygen writes it is wanted")
}

// isPlain reports whether a private key has no passphrase.
func isPlain(text []byte) bool {
	_, err := ssh.ParsePrivateKey(text)
	return err == nil
}

// methods returns what is tried, in order.
func (l *login) methods() ([]ssh.AuthMethod, error) {
	var all []ssh.AuthMethod
	signer := l.signer
	if l.keyFile != "" {
		text, err := os.ReadFile(l.keyFile)
		if err != nil {
			return nil, shield.FieldErrorf("endpoint.private_key_file", "%v", err)
		}
		if signer, err = l.parse(text, "private_key_file"); err != nil {
			return nil, err
		}
	}
	if signer != nil {
		all = append(all, ssh.PublicKeys(signer))
	}
	if l.password != "" {
		all = append(all, ssh.Password(l.password), ssh.KeyboardInteractive(l.answers()))
	}
	return all, nil
}

// answers gives the password to a server that asks for one thing that is not
// to be shown, once. Codes of the day cannot be given.
func (l *login) answers() ssh.KeyboardInteractiveChallenge {
	asked := false
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		if len(questions) == 0 {
			return nil, nil
		}
		if asked || len(questions) > 1 || echos[0] {
			return nil, fmt.Errorf("the server asks %q, and a password is all that can be given", questions)
		}
		asked = true
		return []string{l.password}, nil
	}
}

// String names what can be tried, for errors.
func (l *login) String() string {
	switch {
	case l.password != "" && (l.signer != nil || l.keyFile != ""):
		return "private key and password"
	case l.password != "":
		return "password"
	}
	return "private key"
}
