package fs

import (
	"os/user"
	"strconv"
)

// names looks each owner up once.
type names struct {
	base          *dir
	users, groups map[int]string
}

func newNames(base *dir) names { return names{base, map[int]string{}, map[int]string{}} }

func (n names) user(uid int) string {
	name, known := n.users[uid]
	if !known {
		name = n.base.owner(uid)
		n.users[uid] = name
	}
	return name
}

func (n names) group(gid int) string {
	name, known := n.groups[gid]
	if !known {
		name = n.base.group(gid)
		n.groups[gid] = name
	}
	return name
}

func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return ""
	}
	return u.Username
}

func groupName(gid int) string {
	g, err := user.LookupGroupId(strconv.Itoa(gid))
	if err != nil {
		return ""
	}
	return g.Name
}
