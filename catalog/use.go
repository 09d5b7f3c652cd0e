package catalog

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// shownUsers is how many jobs an InUse error names.
const shownUsers = 5

// jobsWith describes the jobs that refer to uuid in a column.
func jobsWith(ctx context.Context, tx bun.Tx, column, uuid string) ([]string, error) {
	var names []string
	err := tx.NewSelect().Table("jobs").Column("name").
		Where("? = ?", bun.Ident(column), uuid).OrderExpr("name").Scan(ctx, &names)
	if err != nil {
		return nil, err
	}
	more := len(names) - shownUsers
	if more > 0 {
		names = names[:shownUsers]
	}
	users := make([]string, 0, len(names)+1)
	for _, n := range names {
		users = append(users, "job "+n)
	}
	if more > 0 {
		users = append(users, count(more, "more job"))
	}
	return users, nil
}

// archivesWith describes the archives that have bytes of a target or in a
// store; without it they could not be restored or purged.
func archivesWith(ctx context.Context, tx bun.Tx, column, uuid string) ([]string, error) {
	n, err := tx.NewSelect().Table("archives").Where("? = ?", bun.Ident(column), uuid).Count(ctx)
	if err != nil || n == 0 {
		return nil, err
	}
	return []string{count(int(n), "archive")}, nil
}

// tasksWith describes the tasks that have not ended.
func tasksWith(ctx context.Context, tx bun.Tx, column, uuid string) ([]string, error) {
	var users []string
	for _, status := range []shield.TaskStatus{shield.TaskRunning, shield.TaskPending} {
		n, err := tx.NewSelect().Table("tasks").
			Where("? = ?", bun.Ident(column), uuid).Where("status = ?", string(status)).Count(ctx)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			users = append(users, count(int(n), string(status)+" task"))
		}
	}
	return users, nil
}

// usersOf describes all that refers to a target (column target_uuid) or a
// store.
func usersOf(ctx context.Context, tx bun.Tx, column, held, uuid string) ([]string, error) {
	jobs, err := jobsWith(ctx, tx, column, uuid)
	if err != nil {
		return nil, err
	}
	archives, err := archivesWith(ctx, tx, held, uuid)
	if err != nil {
		return nil, err
	}
	tasks, err := tasksWith(ctx, tx, column, uuid)
	return append(append(jobs, archives...), tasks...), err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
