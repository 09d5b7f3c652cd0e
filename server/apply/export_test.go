package apply

// Fields returns the names of the fields of a kind, by its key.
func Fields(key string) []string {
	var names []string
	for _, k := range kinds {
		if k.key != key {
			continue
		}
		for n := range k.fields {
			names = append(names, k.fields[n].name)
		}
	}
	return names
}
