package shield

// Figures are counts of what a catalog has, for those who watch.
type Figures struct {
	Tasks    []TaskFigure
	Archives []ArchiveFigure
}

// A TaskFigure counts the tasks of an operation in a state.
type TaskFigure struct {
	Op     Op
	Status TaskStatus
	Count  int64
	// Seconds is how long those of them took that have begun and ended.
	Seconds float64
}

// An ArchiveFigure counts the archives in a state, and their bytes.
type ArchiveFigure struct {
	Status      ArchiveStatus
	Count       int64
	RawBytes    int64
	StoredBytes int64
}
