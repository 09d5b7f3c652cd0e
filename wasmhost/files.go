package wasmhost

// A filesDescriptor opens the file service for a folder.
type filesDescriptor struct {
	Folder string `json:"folder"`
}
