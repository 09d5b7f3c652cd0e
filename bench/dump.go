package main

import (
	"encoding/hex"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// vocabulary is what names and prose are made of.
var vocabulary = strings.Fields(`
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one
you were all her she there would their we him been has when who will no more if out so up said what its about than
into them can only other time new some could these two may first then do any like my now over such our man me even most
made after also did many off before must well back through years much where your way down should because long each just
state those people too mister little world very still see own work men day get here old between both under life being
never same another know while last might us great year since against go came right used take three states himself few
house use during without again place american around however home small found mountain thought went say part once general
high upon school every does got united left number course war until always away something fact water though less public
put think almost hand enough far took head yet government system better set told nothing night end why called didn eyes
find going look asked later knew point next program city business give group toward young days let room president side
social given present several order national possible rather second face per among form important often things looked
early white case john become large big need four within felt along children saw best church ever least power development
light thing seemed family interest want members mind country area others done turned although open god service certain
kind problem began different door thus help means sense whole matter perhaps itself york times law human line above name
example action company hands local show five history whether gave either today act feet across taken past quite anything
seen having death experience body week half word really field car words already themselves information tell together
college shall money period held keep sure probably free seems behind cannot miss political question office brought whose
special major problems ago federal study moment available known result street economic boy position reason change south
board individual job society areas west close turn community true love court force full cost seem wife future age
wanted voice department center woman control common policy necessary following front sometimes six girl clear further
land provide feel party able mother music education university child effect level stood military run short stage morning
town outside art rate figure century class north usually leave therefore plan top million sound evidence black strong hard
various says believe value type play surface mean soon lines process red table space peace tax road minutes book doubt`)

// A dump reads like what pg_dump writes: tables in blocks, each with its
// own mix of numbers, names, JSON, prose and hexadecimal bytes. It compresses
// about threefold by zstd -1, and never ends.
type dump struct {
	rng   *rand.Rand
	buf   []byte // what is made and not read
	next  [][]int
	ids   []int64 // of each table
	clock time.Time
	noise []byte
}

func newDump(seed uint64) io.Reader {
	d := &dump{rng: rand.New(rand.NewPCG(seed, 1)), ids: make([]int64, len(tables)), clock: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), noise: make([]byte, 64)}
	d.next = make([][]int, len(vocabulary))
	for i := range d.next {
		d.next[i] = make([]int, 24)
		for j := range d.next[i] {
			d.next[i][j] = d.skewed(len(vocabulary))
		}
	}
	return d
}

// Read fills p whole.
func (d *dump) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		if len(d.buf) == 0 {
			d.block()
		}
		c := copy(p[n:], d.buf)
		n, d.buf = n+c, d.buf[c:]
	}
	return len(p), nil
}

// tables are what a dump has, with the share of blocks that each gets.
var tables = []struct {
	share int
	head  string
	row   func(d *dump, id int64)
}{
	{10, "public.pgbench_accounts (aid, bid, abalance, filler)", (*dump).account},
	{20, "public.customers (id, first_name, last_name, email, phone, city, balance, created_at)", (*dump).customer},
	{22, "public.orders (id, customer_id, status, sku, quantity, total, placed_at, shipped_at)", (*dump).order},
	{26, "public.events (id, at, payload)", (*dump).event},
	{16, "public.articles (id, title, body)", (*dump).article},
	{6, "public.attachments (id, article_id, data)", (*dump).attachment},
}

// block makes some 64 KiB of one table.
func (d *dump) block() {
	d.buf = d.buf[:0]
	pick, t := d.rng.IntN(100), 0
	for pick -= tables[t].share; pick >= 0; pick -= tables[t].share {
		t++
	}
	d.text("COPY ", tables[t].head, " FROM stdin;\n")
	for len(d.buf) < 64<<10 {
		d.ids[t]++
		tables[t].row(d, d.ids[t])
		d.buf[len(d.buf)-1] = '\n' // in place of the last tab
	}
	d.text("\\.\n\n")
}

func (d *dump) account(id int64) {
	d.number(id).number(1 + id/100000).number(0)
	d.text(strings.Repeat(" ", 84), "\t")
}

func (d *dump) customer(id int64) {
	first, last := d.word(), d.word()
	d.number(id).text(first, "\t", last, "\t", first, ".", last)
	d.plain(d.rng.Int64N(10000)).text("@", d.word(), ".example\t+")
	d.number(10000000000+d.rng.Int64N(90000000000)).text(d.word(), "\t")
	d.money(500000).when(time.Minute)
}

func (d *dump) order(id int64) {
	d.number(id).number(1 + d.rng.Int64N(1+d.ids[1]))
	d.text([]string{"new", "paid", "shipped", "returned"}[d.rng.IntN(4)], "\tSKU-")
	d.number(10000 + int64(d.skewed(90000))).number(1 + int64(d.skewed(12)))
	d.money(90000).when(10 * time.Second).when(0)
}

func (d *dump) event(id int64) {
	d.number(id).when(time.Second)
	d.text(`{"type": "`, []string{"login", "view", "purchase", "search"}[d.rng.IntN(4)], `", "user": `)
	d.plain(d.rng.Int64N(2000000)).text(`, "session": "`).hex(8)
	d.text(`", "path": "/`, d.word(), "/", d.word(), `", "ms": `).plain(int64(d.skewed(2000)))
	d.text(`, "ok": true, "tags": ["`, d.word(), `", "`, d.word(), "\"]}\t")
}

func (d *dump) article(id int64) {
	d.number(id).prose(6).text("\t").prose(80 + d.rng.IntN(240)).text("\t")
}

func (d *dump) attachment(id int64) {
	d.number(id).number(1 + d.rng.Int64N(1+d.ids[4])).text("\\\\x").hex(64).hex(64).text("\t")
}

func (d *dump) text(parts ...string) *dump {
	for _, p := range parts {
		d.buf = append(d.buf, p...)
	}
	return d
}

func (d *dump) plain(n int64) *dump {
	d.buf = strconv.AppendInt(d.buf, n, 10)
	return d
}

func (d *dump) number(n int64) *dump { return d.plain(n).text("\t") }

func (d *dump) money(cents int64) *dump {
	d.buf = strconv.AppendFloat(d.buf, float64(d.rng.Int64N(cents))/100, 'f', 2, 64)
	return d.text("\t")
}

// when writes a time that is a step or so later than the last one.
func (d *dump) when(step time.Duration) *dump {
	d.clock = d.clock.Add(time.Duration(d.rng.Float64() * 2 * float64(step)))
	d.buf = d.clock.AppendFormat(d.buf, "2006-01-02 15:04:05.000000")
	return d.text("\t")
}

func (d *dump) hex(n int) *dump {
	for i := range n {
		d.noise[i] = byte(d.rng.Uint32())
	}
	d.buf = hex.AppendEncode(d.buf, d.noise[:n])
	return d
}

func (d *dump) word() string { return vocabulary[d.skewed(len(vocabulary))] }

// prose writes words, each drawn from those that may follow the last one.
func (d *dump) prose(words int) *dump {
	at := d.skewed(len(vocabulary))
	for i := range words {
		if i > 0 {
			d.text(" ")
		}
		d.text(vocabulary[at])
		if i%12 == 11 {
			d.text(".")
		}
		at = d.next[at][d.skewed(len(d.next[at]))]
	}
	return d
}

// skewed draws a number below n, small ones more often.
func (d *dump) skewed(n int) int {
	f := d.rng.Float64()
	return int(f * f * float64(n))
}
