package fs

import (
	"os/user"
	"strconv"
)

// names looks each owner up once.
type names struct{ users, groups map[int]string }

func newNames() names { return names{map[int]string{}, map[int]string{}} }

func (n names) user(uid int) string {
	name, known := n.users[uid]
	if !known {
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			name = u.Username
		}
		n.users[uid] = name
	}
	return name
}

func (n names) group(gid int) string {
	name, known := n.groups[gid]
	if !known {
		if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
			name = g.Name
		}
		n.groups[gid] = name
	}
	return name
}
