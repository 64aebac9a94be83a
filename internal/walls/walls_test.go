// Package walls holds the walls between the packages: who may reach whom.
package walls

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/snapwarden/snapwarden"

const (
	sdk    = "github.com/aws/aws-sdk-go-v2"
	smithy = "github.com/aws/smithy-go"
	zap    = "go.uber.org/zap"
)

// deps gives everything that each package reaches.
func deps(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}}{{"\t"}}{{join .Imports " "}}`, module+"/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), "\t")
		imports[path] = strings.Fields(rest)
	}
	all := map[string][]string{}
	for p := range imports {
		if p == module || strings.HasPrefix(p, module+"/") {
			seen := map[string]bool{}
			var walk func(string)
			walk = func(q string) {
				for _, i := range imports[q] {
					if !seen[i] {
						seen[i] = true
						walk(i)
					}
				}
			}
			walk(p)
			for q := range seen {
				all[p] = append(all[p], q)
			}
			slices.Sort(all[p])
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages were found", len(all))
	}
	return all
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// forTests are the packages whose only users are tests.
func forTests(p string) bool {
	return under(p, module+"/backup/backuptest") || under(p, module+"/internal/sweep") || under(p, module+"/internal/emulator") || under(p, module+"/internal/walls")
}

// broken gives the walls that the given dependencies break.
func broken(all map[string][]string) (bad []string) {
	deny := func(p string, why string, prefixes ...string) {
		for _, d := range all[p] {
			for _, x := range prefixes {
				if under(d, x) {
					bad = append(bad, p+" reaches "+d+": "+why)
				}
			}
		}
	}
	// Which service's SDK a package may reach, of those that strategies use; whoever uses one compiles no other.
	services := []string{"ec2", "rds", "elasticache", "s3"}
	service := map[string][]string{
		"ebs": {"ec2"}, "rds": {"rds"}, "elasticache": {"elasticache"},
		"backup/s3store": {"s3"}, "s3export": {}, "s3export/rdb": {}, "s3export/objectcopy": {"s3"},
		"s3export/elasticacheexport": {"elasticache", "s3"}, "s3export/rdsexport": {"rds", "s3"},
		"backup/awssim/s3sim": {"s3"}, "backup/awssim/ec2sim": {"ec2"}, "backup/awssim/rdssim": {"rds"}, "backup/awssim/elasticachesim": {"elasticache"},
		"backup/awssim/kmssim": {}, "backup/awssim/stssim": {}, "backup/awssim/iamsim": {}, "s3export/protect": {"s3"},
		"ebs/ami": {"ec2"}, "ebs/quiesce": {}, "ebs/swap": {"ec2"},
	}
	for p := range all {
		rel := strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
		sim := under(rel, "backup/awssim")
		example := under(rel, "examples")
		switch {
		case rel == "backup", rel == "backup/retention", rel == "backup/coverage", rel == "policy", rel == "s3export", rel == "s3export/rdb":
			deny(p, "the core and the pure packages need the standard library only", sdk, smithy, zap)
			for _, d := range all[p] {
				if strings.Contains(strings.SplitN(d, "/", 2)[0], ".") && !under(d, module) {
					bad = append(bad, p+" reaches "+d+": only the standard library is allowed")
				}
			}
		}
		if rel != "backup/backupzap" && !example {
			deny(p, "only backupzap knows zap", zap)
		}
		own, known := service[rel]
		if top, _, _ := strings.Cut(rel, "/"); !known && slices.Contains([]string{"ebs", "rds", "elasticache", "s3export"}, top) {
			bad = append(bad, p+" is not in the table of who may reach which SDK")
		}
		if known {
			for _, other := range services {
				if !slices.Contains(own, other) {
					deny(p, "a package compiles the SDK of its own service only", sdk+"/service/"+other)
				}
			}
		}
		if rel == "s3export/rdb" {
			deny(p, "it is usable alone", module)
		}
		if sim {
			for _, d := range all[p] {
				if under(d, module+"/backup") && !under(d, module+"/backup/awssim") {
					bad = append(bad, p+" reaches "+d+": the simulation does not know the library")
				}
			}
			deny(p, "the simulation does not know the strategies", module+"/ebs", module+"/rds", module+"/elasticache", module+"/s3export")
		}
		if !forTests(p) && !example {
			deny(p, "no testing in production code", "testing")
			if !sim {
				deny(p, "production code does not know the simulation", module+"/backup/awssim")
			}
		}
	}
	slices.Sort(bad)
	return bad
}

func TestWalls(t *testing.T) {
	for _, b := range broken(deps(t)) {
		t.Error(b)
	}
}

// The check itself sees each kind of breach.
func TestWallsAreSeen(t *testing.T) {
	for _, c := range []struct{ pkg, reaches string }{
		{"backup", sdk + "/aws"},
		{"backup", zap},
		{"backup", "example.com/anything"},
		{"policy", smithy},
		{"ebs", sdk + "/service/rds"},
		{"rds", sdk + "/service/ec2/types"},
		{"elasticache", module + "/backup/awssim"},
		{"ebs", "testing"},
		{"s3export", sdk + "/service/s3"},
		{"s3export/rdb", module + "/backup"},
		{"s3export/rdb", sdk + "/aws"},
		{"s3export/objectcopy", sdk + "/service/elasticache"},
		{"s3export/rdsexport", sdk + "/service/elasticache"},
		{"backup/s3store", sdk + "/service/rds"},
		{"backup/s3store", module + "/backup/awssim"},
		{"backup/awssim/iamsim", sdk + "/service/s3"},
		{"backup/awssim/s3sim", module + "/s3export/objectcopy"},
		{"backup/awssim/ec2sim", module + "/backup"},
		{"backup/awssim", "testing"},
		{"backup/awssim", module + "/ebs"},
		{"internal/awscall", zap},
	} {
		if got := broken(map[string][]string{module + "/" + c.pkg: {c.reaches}}); len(got) == 0 {
			t.Errorf("%s may reach %s", c.pkg, c.reaches)
		}
	}
	if got := broken(map[string][]string{module + "/ebs": {sdk + "/service/ec2", smithy, module + "/backup", "time"}, module + "/backup/backupzap": {zap}}); len(got) != 0 {
		t.Errorf("refused what is allowed: %v", got)
	}
}
