package rdssim

import (
	"encoding/json"
	"strings"
	"time"
)

// exportFile is one object of an export.
type exportFile struct {
	key  string
	body []byte
	at   time.Time
}

// exportFolder is what the keys of an export begin with, with a slash at its end.
func exportFolder(prefix, id string) string {
	if p := strings.Trim(prefix, "/"); p != "" {
		return p + "/" + id + "/"
	}
	return id + "/"
}

// plan gives the objects that the export writes: those of the data on the way, and those that describe it at the end. One that fails writes
// no description.
func (t *exportTask) plan(engine string) []exportFile {
	base := exportFolder(t.prefix, t.id)
	tables := t.only
	if len(tables) == 0 {
		tables = []string{"main." + map[bool]string{true: "public.orders", false: "orders"}[strings.HasPrefix(engine, "postgres")]}
	}
	var files []exportFile
	half := t.begins.Add(t.ends.Sub(t.begins) / 2)
	for _, x := range tables {
		database, rest, whole := strings.Cut(x, ".")
		if !whole {
			rest = "orders"
		}
		at := base + database + "/" + rest + "/1/"
		files = append(files,
			exportFile{at + "part-00000-" + short(t.id, x) + ".gz.parquet", []byte("PAR1 simulated PAR1"), half},
			exportFile{at + "_SUCCESS", nil, half})
	}
	if t.cause != "" {
		return files
	}
	return append(files,
		exportFile{base + "export_tables_info_" + t.id + "_from_1_to_1.json", t.tablesInfo(tables), t.ends},
		exportFile{base + "export_info_" + t.id + ".json", t.info(base), t.ends})
}

func (t *exportTask) tablesInfo(tables []string) []byte {
	type row struct {
		Target string `json:"target"`
		Status string `json:"status"`
	}
	out := struct {
		Rows []row `json:"perTableStatus"`
	}{}
	for _, x := range tables {
		out.Rows = append(out.Rows, row{x, "COMPLETE"})
	}
	return encoded(out)
}

func (t *exportTask) info(base string) []byte {
	return encoded(struct {
		ID     string `json:"exportTaskIdentifier"`
		Source string `json:"sourceArn"`
		Bucket string `json:"s3Bucket"`
		Prefix string `json:"s3Prefix"`
		Path   string `json:"exportedFilesPath"`
		Role   string `json:"iamRoleArn"`
		Key    string `json:"kmsKeyId"`
		Status string `json:"status"`
		Start  string `json:"taskStartTime"`
		End    string `json:"taskEndTime"`
	}{t.id, t.source, t.bucket, t.prefix, strings.TrimSuffix(base, "/"), t.role, t.key, "COMPLETE", stamp(t.begins), stamp(t.ends)})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what is written here always can be
	}
	return b
}
