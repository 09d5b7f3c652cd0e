//go:build linux

package mysql_test

import (
	"strings"
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
)

// content is of everything that a dump has to bring back.
const content = `
SET time_zone = '+05:30'; SET NAMES utf8mb4;
CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE ` + "`odd name-ü``'\"`" + ` CHARACTER SET latin1;
CREATE USER 'clerk'@'%' IDENTIFIED BY 'clerk-pw';
CREATE ROLE seller; GRANT SELECT, INSERT ON shop.* TO seller; GRANT seller TO 'clerk'@'%';
GRANT EXECUTE ON shop.* TO 'clerk'@'%'; SET DEFAULT ROLE seller FOR 'clerk'@'%';
USE shop;
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL, note TEXT, UNIQUE (name)) AUTO_INCREMENT = 1000;
INSERT INTO customers (name, note) VALUES ('Zoë 🚀 漢字', 'line\nbreak\ttab\\slash\'quote"double\r\n\0nul'), ('null', NULL), ('', '-- Dump completed'), ('DELIMITER ;;', '/*!40000 x */');
CREATE TABLE orders (id INT PRIMARY KEY, customer INT NOT NULL, net DECIMAL(20,4), tax DECIMAL(20,4) AS (net * 0.2) VIRTUAL,
  gross DECIMAL(21,4) AS (net * 1.2) STORED, at TIMESTAMP(6) NULL, day DATE, lasting TIME(3), y YEAR,
  state ENUM('new','sent') NOT NULL DEFAULT 'new', flags SET('a','b','c'), bits BIT(9), f DOUBLE, g FLOAT,
  doc JSON, place POINT, KEY (at), FULLTEXT (extra), extra LONGTEXT,
  FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE) ENGINE=InnoDB;
INSERT INTO orders (id, customer, net, at, day, lasting, y, state, flags, bits, f, g, doc, place, extra) VALUES
 (1, 1000, 12.3456, '2026-03-29 02:30:00.123456', '2026-02-28', '-838:59:59.000', 2026, 'sent', 'a,c', b'101010101', 1.7976931348623157e308, 0.1, '{"a": [1, null, "ü"]}', POINT(1.5, -2.25), REPEAT('x', 100000)),
 (2, 1001, -0.0001, '1970-01-02 00:00:01', '9999-12-31', '00:00:00.001', 1901, 'new', '', b'0', -0.0, 3.4e38, '[]', NULL, NULL);
CREATE TABLE files (id INT PRIMARY KEY, data LONGBLOB, tag VARBINARY(16), b BINARY(4));
INSERT INTO files VALUES (1, UNHEX(REPEAT('00FF27225C0A0D1A', 20000)), UNHEX('00'), 'ab'), (2, '', NULL, NULL), (3, NULL, '', UNHEX('FFFFFFFF'));
CREATE TABLE zz_parent (id INT PRIMARY KEY, down INT);
CREATE TABLE aa_child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES zz_parent (id));
INSERT INTO zz_parent VALUES (1, NULL); INSERT INTO aa_child VALUES (1, 1); UPDATE zz_parent SET down = 1;
ALTER TABLE zz_parent ADD FOREIGN KEY (down) REFERENCES aa_child (id);
CREATE TABLE myisam_one (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM; INSERT INTO myisam_one VALUES (1, 'm');
CREATE TABLE parts (id INT, d DATE) PARTITION BY HASH (id) PARTITIONS 3; INSERT INTO parts VALUES (1, '2026-01-01'), (2, NULL), (3, '2026-01-03');
CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 10; SELECT NEXTVAL(numbers); 
CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(50));
CREATE VIEW totals AS SELECT c.name, SUM(o.gross) AS sum FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.name;
CREATE VIEW of_totals AS SELECT COUNT(*) AS n FROM totals;
DELIMITER ;;
CREATE FUNCTION double_it(a INT) RETURNS INT DETERMINISTIC BEGIN /* comment; */ RETURN a * 2; END;;
CREATE PROCEDURE add_log(IN what VARCHAR(50)) BEGIN DECLARE n INT DEFAULT 0; WHILE n < 2 DO INSERT INTO log (what) VALUES (CONCAT(what, ';', n)); SET n = n + 1; END WHILE; END;;
CREATE TRIGGER customers_ai AFTER INSERT ON customers FOR EACH ROW BEGIN INSERT INTO log (what) VALUES (CONCAT('new ', NEW.id)); END;;
CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 03:00:00' DISABLE COMMENT 'it''s; odd' DO BEGIN DELETE FROM log WHERE id < 0; END;;
DELIMITER ;
CALL add_log('start');
USE ` + "`odd name-ü``'\"`" + `;
CREATE TABLE ` + "`t-1 `` ü`" + ` (` + "`a b`" + ` INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO ` + "`t-1 `` ü`" + ` VALUES (1, 'é');
`

const oddName = "odd name-ü`'\""

// snapshot returns everything of the databases of users, as text.
func snapshot(t testing.TB, m *testserver.MariaDB, databases ...string) string {
	t.Helper()
	in := "('" + strings.Join(quoteAll(databases), "','") + "')"
	queries := []string{
		"SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN " + in + " ORDER BY 1",
		"SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COLLATION, AUTO_INCREMENT, CREATE_OPTIONS FROM information_schema.TABLES WHERE TABLE_SCHEMA IN " + in + " ORDER BY 1, 2",
		"SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, COLUMN_TYPE, COLLATION_NAME, EXTRA, GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN " + in + " ORDER BY 1, 2, 4",
		"SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE, INDEX_TYPE FROM information_schema.STATISTICS WHERE TABLE_SCHEMA IN " + in + " ORDER BY 1, 2, 3, 4",
		"SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN " + in + " ORDER BY 1, 2, 3",
		"SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, DEFINER, SECURITY_TYPE FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN " + in + " ORDER BY 1, 2",
		"SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_DEFINITION, DEFINER, SQL_MODE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN " + in + " ORDER BY 1, 2",
		"SELECT TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT, ACTION_TIMING, DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN " + in + " ORDER BY 1, 2",
		"SELECT EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION, STARTS, TIME_ZONE, STATUS, EVENT_COMMENT FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN " + in + " ORDER BY 1, 2",
	}
	var b strings.Builder
	b.WriteString(m.SQL("SET time_zone='+00:00';" + strings.Join(queries, ";") + ";"))
	tables := m.SQL("SELECT CONCAT('`', REPLACE(TABLE_SCHEMA,'`','``'), '`.`', REPLACE(TABLE_NAME,'`','``'), '`') FROM information_schema.TABLES WHERE TABLE_SCHEMA IN " + in + " ORDER BY 1;")
	for name := range strings.Lines(tables) {
		b.WriteString(m.SQL("SET time_zone='+00:00'; SELECT * FROM " + strings.TrimSpace(name) + " ORDER BY 1;"))
	}
	return b.String()
}

func quoteAll(names []string) []string {
	quoted := make([]string, len(names))
	for n, name := range names {
		quoted[n] = strings.ReplaceAll(name, "'", "''")
	}
	return quoted
}

// accounts returns who may do what.
func accounts(t testing.TB, m *testserver.MariaDB) string {
	t.Helper()
	return m.SQL("SELECT Host, User, Priv FROM mysql.global_priv ORDER BY 1, 2; SELECT * FROM mysql.db ORDER BY 1, 2, 3; SELECT * FROM mysql.roles_mapping ORDER BY 1, 2, 3;")
}

// same fails the test at the first line that differs.
func same(t testing.TB, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for n := range min(len(g), len(w)) {
		if g[n] != w[n] {
			t.Fatalf("line %d is\n%.500s\ninstead of\n%.500s", n, g[n], w[n])
		}
	}
	t.Fatalf("%d lines instead of %d", len(g), len(w))
}
