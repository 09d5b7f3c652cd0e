// Command shield-schema creates, upgrades, checks and copies the catalog of
// shield.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/internal/version"
)

type flags struct {
	Catalog string           `help:"The catalog, a file named catalog.db in the daemon's data folder." env:"SHIELD_CATALOG" placeholder:"FILE" required:""`
	Check   bool             `help:"Change nothing; exit with status 3 if an upgrade is due." xor:"what"`
	CopyTo  string           `help:"Write a consistent copy of the catalog to a new file, also while a daemon uses it." placeholder:"FILE" xor:"what"`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var f flags
	parser, err := kong.New(&f,
		kong.Name("shield-schema"),
		kong.Description("Create or upgrade a catalog. Exit status: 0 done or up to date, 1 failed, 2 bad usage, 3 an upgrade is due."),
		kong.Vars{"version": version.String()},
	)
	if err == nil {
		_, err = parser.Parse(args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shield-schema:", err)
		return 2
	}
	status, err := f.run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "shield-schema:", err)
		return 1
	}
	return status
}

func (f *flags) run(ctx context.Context) (int, error) {
	switch {
	case f.Check:
		return f.check(ctx)
	case f.CopyTo != "":
		return 0, f.copy(ctx)
	}
	if err := catalog.Migrate(ctx, f.Catalog); err != nil {
		return 1, err
	}
	have, _, err := catalog.SchemaVersion(ctx, f.Catalog)
	if err == nil {
		fmt.Printf("%s has schema version %d\n", f.Catalog, have)
	}
	return 0, err
}

func (f *flags) check(ctx context.Context) (int, error) {
	have, want, err := catalog.SchemaVersion(ctx, f.Catalog)
	if err != nil {
		return 1, err
	}
	switch {
	case have < want:
		fmt.Printf("%s has schema version %d: an upgrade to %d is due\n", f.Catalog, have, want)
		return 3, nil
	case have > want:
		return 1, fmt.Errorf("%s has schema version %d, and this program knows only those up to %d: use a newer one", f.Catalog, have, want)
	}
	fmt.Printf("%s has schema version %d, the newest this program knows\n", f.Catalog, have)
	return 0, nil
}

func (f *flags) copy(ctx context.Context) error {
	have, want, err := catalog.SchemaVersion(ctx, f.Catalog)
	if err != nil {
		return err
	}
	if have < want { // to open it would upgrade it
		return fmt.Errorf("%s has schema version %d and this program wants %d: copy it with the program that it was used with", f.Catalog, have, want)
	}
	db, err := catalog.Open(ctx, f.Catalog, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CopyTo(ctx, f.CopyTo); err != nil {
		return err
	}
	fmt.Printf("%s is a copy of %s\n", f.CopyTo, f.Catalog)
	return nil
}
