package dockerpg

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/pg"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// A docker is the engine, by the command docker.
type docker struct {
	tool.Runner
	config *config
	log    plugin.Log
}

// dialect is that of PostgreSQL's programs, with what docker says itself.
func dialect() *tool.Dialect {
	d := pg.Dialect()
	d.Rules = append([]tool.Rule{
		{Text: "cannot connect to the docker daemon", Code: shield.Unavailable},
		{Text: "error during connect", Code: shield.Unavailable},
		{Text: "is not running", Code: shield.Unavailable},
		{Text: "unable to find image", Code: shield.Invalid},
		{Text: "no such image", Code: shield.Invalid},
		{Text: "pull access denied", Code: shield.Invalid},
		{Text: "no such container", Code: shield.Invalid},
	}, d.Rules...)
	return d
}

// run runs docker with a command of its own.
func (d *docker) run(ctx context.Context, j tool.Job) (tool.Result, error) {
	j.Name, j.Args = "docker", append([]string{"-H", d.config.Socket}, j.Args...)
	return d.Runner.Run(ctx, j)
}

func (d *docker) output(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	_, err := d.run(ctx, tool.Job{Args: args, Stdout: &out})
	return out.Bytes(), err
}

// all returns the containers that the endpoint means, running or not, by their
// names: the engine has an order of its own, which changes.
func (d *docker) all(ctx context.Context) ([]*container, error) {
	args := []string{"ps", "-a", "-q", "--no-trunc"}
	if d.config.Label != "" {
		args = append(args, "--filter", "label="+d.config.Label)
	}
	out, err := d.output(ctx, args...)
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(string(out))
	if len(ids) == 0 {
		return nil, nil
	}
	out, err = d.output(ctx, append([]string{"container", "inspect"}, ids...)...)
	if err != nil {
		return nil, err
	}
	list, err := parseContainers(out)
	if err != nil {
		return nil, err
	}
	var meant []*container
	for _, c := range list {
		if d.config.isImage(c.Config.Image) && (len(d.config.names) == 0 || contains(d.config.names, c.name())) {
			meant = append(meant, c)
		}
	}
	slices.SortFunc(meant, func(a, b *container) int { return strings.Compare(a.name(), b.name()) })
	return meant, nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// find returns a container by its name, nil if there is none.
func (d *docker) find(ctx context.Context, name string) (*container, error) {
	out, err := d.output(ctx, "ps", "-a", "-q", "--no-trunc", "--filter", "name=^/?"+strings.ReplaceAll(name, ".", `\.`)+"$")
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return nil, err
	}
	if out, err = d.output(ctx, append([]string{"container", "inspect"}, strings.Fields(string(out))...)...); err != nil {
		return nil, err
	}
	list, err := parseContainers(out)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// running returns the containers to back up: those that are meant, by their
// names, all of which have to run if they are named.
func (d *docker) running(ctx context.Context) ([]*container, error) {
	meant, err := d.all(ctx)
	if err != nil {
		return nil, err
	}
	var list []*container
	for _, c := range meant {
		switch {
		case c.State.Running:
			list = append(list, c)
		case len(d.config.names) > 0:
			return nil, shield.Errorf(shield.Unavailable, "", "the container %s does not run", c.name())
		default:
			d.log("the container " + c.name() + " does not run: it is left out")
		}
	}
	for _, name := range d.config.names {
		if !hasName(list, name) {
			return nil, shield.FieldErrorf("endpoint.container", "has %q, but no container of that name has the image %s", name, d.config.Image)
		}
	}
	if len(list) == 0 {
		return nil, shield.Errorf(shield.TargetFailed, "", "no running container has an image like %s%s: a backup of nothing is none", d.config.Image, d.labelWords())
	}
	return list, nil
}

func (d *docker) labelWords() string {
	if d.config.Label == "" {
		return ""
	}
	return " and the label " + d.config.Label
}

func hasName(list []*container, name string) bool {
	for _, c := range list {
		if c.name() == name {
			return true
		}
	}
	return false
}

// server returns the PostgreSQL server in a container.
func (d *docker) server(c *container) *pg.Server {
	user, password := c.user(d.config)
	env := []string{"PGUSER=" + user}
	if password != "" {
		env = append(env, "PGPASSWORD="+password)
	}
	return &pg.Server{
		Tools: &inside{d, c.name()}, Env: env, Keep: d.config.Existing == refuse,
		Log: func(line string) { d.log(c.name() + ": " + line) },
	}
}

// inside runs programs in a container.
type inside struct {
	docker *docker
	name   string
}

// Run implements tool.Runner. Variables are named on the command line and
// have their values in the environment of docker, so that nobody reads them.
func (i *inside) Run(ctx context.Context, j tool.Job) (tool.Result, error) {
	if len(j.Files) > 0 {
		return tool.Result{}, shield.Errorf(shield.PluginFailed, "", "%s needs files, which it cannot have in a container", j.Name)
	}
	args := []string{"exec"}
	if j.Stdin != nil {
		args = append(args, "-i")
	}
	for _, v := range j.Env {
		name, _, _ := strings.Cut(v, "=")
		args = append(args, "-e", name)
	}
	j.Args = append(append(args, i.name, j.Name), j.Args...)
	r, err := i.docker.run(ctx, j)
	if err != nil && ctx.Err() == nil && shield.CodeOf(err) != shield.Internal {
		err = shield.Errorf(shield.CodeOf(err), "", "container %s: %w", i.name, err)
	}
	return r, err
}
