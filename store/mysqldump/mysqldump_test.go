package mysqldump_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"gtiv/store/mysqldump"
)

// read answers all rows as "database.table(column=value,…)" and the error that
// ended them.
func read(r io.Reader, tables ...string) (rows []string, d *mysqldump.Reader, err error) {
	d = mysqldump.NewReader(r, func(table string) bool {
		for _, t := range tables {
			if t == table {
				return true
			}
		}
		return false
	})
	for {
		row, err := d.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return rows, d, err
		}
		fields := make([]string, len(row.Values))
		for i, v := range row.Values {
			fields[i] = row.Columns[i] + "=" + v.Text
			if v.Null {
				fields[i] = row.Columns[i] + " NULL"
			}
		}
		rows = append(rows, fmt.Sprintf("%s.%s(%s)", row.Database, row.Table, strings.Join(fields, ",")))
	}
}

const create = "CREATE TABLE `t` (\n `id` int unsigned NOT NULL AUTO_INCREMENT COMMENT 'number, (really);',\n `a` varchar(20) DEFAULT 'x,)',\n PRIMARY KEY (`id`),\n UNIQUE KEY `k` (`a`,`id`)\n) ENGINE=InnoDB;\n"

func TestRowsOfADump(t *testing.T) {
	for name, c := range map[string]struct {
		dump string
		want []string
	}{
		"nothing":                  {"", nil},
		"columns in their order":   {create + "INSERT INTO `t` VALUES (1,'x'),(2,NULL);", []string{".t(id=1,a=x)", ".t(id=2,a NULL)"}},
		"columns that are listed":  {create + "INSERT INTO `t` (`a`, `id`) VALUES ('x',1);", []string{".t(a=x,id=1)"}},
		"no CREATE but a list":     {"insert into t(ID)\nvalues\n(1)\n,\n(2)\n;", []string{".t(id=1)", ".t(id=2)"}},
		"replace":                  {create + "REPLACE INTO `t` VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"words before the table":   {create + "INSERT LOW_PRIORITY IGNORE INTO `t` VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"behind the rows":          {create + "INSERT INTO t VALUES (1,'x') AS new ON DUPLICATE KEY UPDATE a=';';INSERT INTO t VALUES (2,'y');", []string{".t(id=1,a=x)", ".t(id=2,a=y)"}},
		"escapes":                  {create + `INSERT INTO t VALUES (1,'it''s \'\"\\\n\r\t\0\Z\b\%\_\q');`, []string{".t(id=1,a=it's '\"\\\n\r\t\x00\x1a\b\\%\\_q)"}},
		"the other quotes":         {create + `INSERT INTO t VALUES (1,"say ""hi"" it's");`, []string{`.t(id=1,a=say "hi" it's)`}},
		"a semicolon in a text":    {create + "INSERT INTO t VALUES (1,'a;b),(2,'';');", []string{".t(id=1,a=a;b),(2,';)"}},
		"numbers":                  {create + "INSERT INTO t VALUES (-12,1.5e+3),(+7,.5);", []string{".t(id=-12,a=1.5e+3)", ".t(id=+7,a=.5)"}},
		"bytes":                    {create + "INSERT INTO t VALUES (0x616263,_binary 'x\\0'),(X'6162',b'101'),(1,_utf8mb4'é'),(1,_binary 0x4142);", []string{".t(id=abc,a=x\x00)", ".t(id=ab,a=5)", ".t(id=1,a=é)", ".t(id=1,a=AB)"}},
		"true and false":           {create + "INSERT INTO t VALUES (TRUE,false);", []string{".t(id=1,a=0)"}},
		"utf8mb4":                  {create + "INSERT INTO t VALUES (1,'小明😀');", []string{".t(id=1,a=小明😀)"}},
		"comments":                 {create + "# one ';\n-- two ';\n/* three '; */ /*!40000 ALTER TABLE `t` DISABLE KEYS */;\nINSERT INTO /* four */ t VALUES -- five\n(1,'--x') # six\n,(2,'/*');", []string{".t(id=1,a=--x)", ".t(id=2,a=/*)"}},
		"a comment of the server":  {"/*!50003 CREATE TRIGGER x BEGIN SET a = '*/; INSERT INTO t VALUES (9,9);'; END */;" + create + "INSERT INTO t VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"the sandbox of MariaDB":   {"/*M!999999\\- enable the sandbox mode */ \n" + create + "INSERT INTO t VALUES\n(1,'x'),\n(2,'y');", []string{".t(id=1,a=x)", ".t(id=2,a=y)"}},
		"a routine":                {"DELIMITER ;;\nCREATE PROCEDURE p() BEGIN INSERT INTO t VALUES (9,9); END ;;\nDELIMITER ;\n" + create + "INSERT INTO t VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"other statements":         {"SET NAMES utf8mb4;LOCK TABLES `t` WRITE;;\n" + create + "INSERT INTO t VALUES (1,'x');UNLOCK TABLES;DROP TABLE IF EXISTS `y`;", []string{".t(id=1,a=x)"}},
		"tables that nobody wants": {create + "INSERT INTO `big` VALUES (1,'(;'),(2,NOW());INSERT INTO `big` SELECT 1;INSERT INTO t VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"several databases": {"USE `im`;" + create + "INSERT INTO t VALUES (1,'x');USE `v`;\nCREATE TABLE `t` (`b` int);INSERT INTO t VALUES (2);INSERT INTO `im`.`t` VALUES (3,'z');",
			[]string{"im.t(id=1,a=x)", "v.t(b=2)", "im.t(id=3,a=z)"}},
		"names without quotes":  {"create table if not exists T (Id int, name varchar(9), key k (name)) ;insert into T values (1,'x');", []string{".t(id=1,name=x)"}},
		"a byte order mark":     {"\ufeff" + create + "INSERT INTO t VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"a view in between":     {"CREATE ALGORITHM=UNDEFINED VIEW `t` AS SELECT 1;" + create + "INSERT INTO t VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"a table like another":  {"CREATE TABLE `u` LIKE `t`;" + create + "INSERT INTO t VALUES (1,'x');", []string{".t(id=1,a=x)"}},
		"no end of a statement": {create + "INSERT INTO t VALUES (1,'x');\nUNLOCK TABLES", []string{".t(id=1,a=x)"}},
	} {
		for how, r := range map[string]io.Reader{"": strings.NewReader(c.dump), " in single bytes": iotest.OneByteReader(strings.NewReader(c.dump))} {
			got, _, err := read(r, "t")
			if err != nil || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%s%s: %q %v\nwant %q", name, how, got, err, c.want)
			}
		}
	}
}

func TestGarbageIsAnErrorWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ dump, want string }{
		"cut in a text":       {create + "INSERT INTO t VALUES (1,'x", "line 7 of the dump: the dump ends in the middle"},
		"cut in a row":        {create + "INSERT INTO t VALUES (1,", "ends in the middle"},
		"cut behind a row":    {create + "INSERT INTO t VALUES (1,'x')", "ends in the middle"},
		"cut in a CREATE":     {"CREATE TABLE `t` (`a` int,", "ends in the middle"},
		"a comment":           {"\n/* never ends", "line 2 of the dump: a comment that does not end"},
		"too few values":      {create + "\nINSERT INTO t VALUES (1);", "line 8 of the dump: a row of the table t has not 2 values"},
		"too many values":     {create + "INSERT INTO t VALUES (1,2,3);", "has not 2 values"},
		"no columns":          {"INSERT INTO t VALUES (1);", "the columns of the table t are not known"},
		"no value":            {create + "INSERT INTO t VALUES (1,);", `')' where a value should be`},
		"two values":          {create + "INSERT INTO t VALUES (1 2,3);", `'2' behind a value`},
		"a function":          {create + "INSERT INTO t VALUES (1,NOW());", `"NOW" is not a value`},
		"no VALUES":           {create + "INSERT INTO t SELECT 1;", "not one of VALUES"},
		"no hexadecimal":      {create + "INSERT INTO t VALUES (0xzz,1);", "not hexadecimal"},
		"a row that is none":  {create + "INSERT INTO t VALUES (1,2),3;", "where a row should begin"},
		"a long text":         {create + "INSERT INTO t VALUES (1,'" + strings.Repeat("x", mysqldump.MaxField+1) + "');", "more than 1048576 bytes"},
		"a long name":         {"CREATE TABLE `" + strings.Repeat("x", 300) + "` (", "more than 256 bytes"},
		"many columns":        {"INSERT INTO t (" + strings.Repeat("a,", 600) + "a) VALUES (1);", "more than 512 columns"},
		"many definitions":    {"CREATE TABLE t (" + strings.Repeat("a int,", 600) + "a int);", "more than 512 columns"},
		"a large row":         {"INSERT INTO t (a,b,c,d,e) VALUES (" + strings.Repeat("'"+strings.Repeat("x", mysqldump.MaxField)+"',", 5), "more than 4194304 bytes"},
		"an empty DELIMITER":  {"DELIMITER \n", "names no end"},
		"a long DELIMITER":    {"DELIMITER " + strings.Repeat("x", 99), "names no end"},
		"a number without an": {create + "INSERT INTO t VALUES (" + strings.Repeat("1", 999) + ",1);", "more than 256 bytes"},
	} {
		_, _, err := read(strings.NewReader(c.dump), "t")
		if _, ok := errors.AsType[*mysqldump.SyntaxError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
}

func TestTheLineOfARow(t *testing.T) {
	d := mysqldump.NewReader(strings.NewReader(create+"INSERT INTO t VALUES\n(1,'a\nb'),\n(2,'c');"), func(string) bool { return true })
	for _, want := range []int64{8, 10} {
		row, err := d.Next()
		if err != nil || row.Line != want {
			t.Errorf("line %d, want %d: %v", row.Line, want, err)
		}
	}
	if _, err := d.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if _, err := d.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("asked again: %v", err)
	}
}

func TestACompleteDumpSaysSo(t *testing.T) {
	for dump, want := range map[string]bool{
		"SELECT 1;\n-- Dump completed on 2026-11-27  1:02:03\n": true, "SELECT 1;\n-- Dump completed": true, "SELECT 1;\n-- Dump\n": false, "": false,
	} {
		if _, d, err := read(strings.NewReader(dump)); err != nil || d.Complete() != want {
			t.Errorf("%q: %v %v", dump, d.Complete(), err)
		}
	}
}

func TestAFailingReaderIsNotTheEnd(t *testing.T) {
	broken := errors.New("disk on fire")
	dump := create + "INSERT INTO t VALUES (1,'x'),(2,'y');"
	for n := range len(dump) {
		if _, _, err := read(io.MultiReader(strings.NewReader(dump[:n]), iotest.ErrReader(broken)), "t"); !errors.Is(err, broken) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

// A dump is read without keeping it.
func TestMemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	line := "(1,'" + strings.Repeat("x", 1000) + "'),"
	dump := io.MultiReader(strings.NewReader(create+"INSERT INTO big VALUES "), strings.NewReader(strings.Repeat(line, 6_000)),
		strings.NewReader("(1,'x');INSERT INTO t VALUES "), strings.NewReader(strings.Repeat(line, 6_000)), strings.NewReader("(1,'x');"))
	d := mysqldump.NewReader(dump, func(table string) bool { return table == "t" })
	rows := 0
	for {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if rows++; rows%2000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 18<<20 { // the two texts of the test are 12 MiB
				t.Fatalf("after %d rows %d MiB more", rows, grown>>20)
			}
		}
	}
	if rows != 6_001 {
		t.Error(rows)
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{
		create + "INSERT INTO `t` VALUES (1,'it''s \\'x'),(2,NULL);", "USE `a`;INSERT INTO t (a) VALUES (0x00),(_binary 'x'),(b'1');",
		"DELIMITER ;;\nx;;\nDELIMITER ;", "/*!50003 '*/' */;", "-- Dump completed", "REPLACE INTO a.t(b)VALUES(1);", "CREATE TABLE t(a int,KEY(a));",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dump string) {
		rows, _, err := read(strings.NewReader(dump), "t")
		again, _, err2 := read(iotest.HalfReader(strings.NewReader(dump)), "t")
		if fmt.Sprint(rows, err) != fmt.Sprint(again, err2) {
			t.Errorf("%q %v\nin other pieces %q %v", rows, err, again, err2)
		}
		if err != nil {
			if _, ok := errors.AsType[*mysqldump.SyntaxError](err); !ok {
				t.Error(err)
			}
		}
		for _, r := range rows {
			if len(r) > mysqldump.MaxRow+mysqldump.MaxColumns*300 {
				t.Errorf("a row of %d bytes", len(r))
			}
		}
	})
}
