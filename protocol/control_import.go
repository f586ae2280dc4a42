package protocol

// This file holds what "gtiv import gtiv" asks for and reports. It does not pass
// through the control socket: such an import is for a server that does not run.

// MaxImportProblems is how many problems an ImportReport lists.
const MaxImportProblems = 10_000

// ImportGtiv asks to bring in what the original GTIV server kept.
type ImportGtiv struct {
	Dump   string // file that mysqldump wrote, perhaps compressed with gzip
	Media  string // folder with the files of the videos, "" none
	Data   string // data folder
	Config string // configuration file, "" none
	Apply  bool   // else nothing is changed
}

// ImportReport says what came of it, or would.
type ImportReport struct {
	Applied  bool
	Tables   []ImportTable
	Media    *ImportMedia `json:",omitempty"` // nil without a folder
	Notes    []string     // what concerns more than one row
	Ignored  []string     // tables that have no place here
	Problems []ImportProblem
	More     int64 `json:",omitempty"` // problems beyond MaxImportProblems
}

// ImportTable counts the rows of a table of the original.
type ImportTable struct {
	Name    string
	Rows    int64
	New     int64 // came in
	There   int64 // came in before
	Changed int64 // of the new ones: not as they were
	Refused int64
}

// ImportMedia counts videos by what became of their files.
type ImportMedia struct {
	Copied  int64
	Missing int64
	There   int64 // copied before
	Bytes   int64
}

// ImportProblem is about one row.
type ImportProblem struct {
	Table string
	Row   int64 // its id
	Line  int64 // of the dump
	Kept  bool  // it came in all the same, with what the text says
	Text  string
}
