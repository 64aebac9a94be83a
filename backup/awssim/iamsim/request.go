package iamsim

import (
	"reflect"
	"strings"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// field gives the texts in a field of an SDK's input, which may be a text, a pointer to one or a list; a dot leads into a part. The inputs are read by
// their fields' names, so that a program that uses this package does not compile the SDK of every service.
func field(in any, path string) []string {
	v := reflect.ValueOf(in)
	for name := range strings.SplitSeq(path, ".") {
		if v = reflect.Indirect(v); v.Kind() != reflect.Struct {
			return nil
		}
		v = v.FieldByName(name)
	}
	return texts(v)
}

func texts(v reflect.Value) (out []string) {
	switch v = reflect.Indirect(v); v.Kind() {
	case reflect.String:
		if v.String() != "" {
			out = append(out, v.String())
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, texts(v.Index(i))...)
		}
	}
	return out
}

// requestTags gives the tags of a request: those to set by key, and the keys of those to take away.
func requestTags(in any) (set map[string]string, keys []string) {
	set = map[string]string{}
	read := func(v reflect.Value) {
		if v.Kind() != reflect.Slice {
			return
		}
		for i := range v.Len() {
			if tag := reflect.Indirect(v.Index(i)); tag.Kind() == reflect.Struct {
				for _, key := range texts(tag.FieldByName("Key")) {
					set[key] = strings.Join(texts(tag.FieldByName("Value")), "")
				}
			}
		}
	}
	v := reflect.Indirect(reflect.ValueOf(in))
	if v.Kind() != reflect.Struct {
		return set, nil
	}
	read(v.FieldByName("Tags"))
	if specs := v.FieldByName("TagSpecifications"); specs.Kind() == reflect.Slice {
		for i := range specs.Len() {
			if spec := reflect.Indirect(specs.Index(i)); spec.Kind() == reflect.Struct {
				read(spec.FieldByName("Tags"))
			}
		}
	}
	return set, field(in, "TagKeys")
}

// tagged resources of the simulated services, each asked under a name of its own, because a World may have them all. An ARN that names nothing has
// no tags.
type (
	ec2Tags interface {
		EC2Tags(r *awssim.Request, arn string) map[string]string
	}
	rdsTags interface {
		RDSTags(r *awssim.Request, arn string) map[string]string
	}
	elastiCacheTags interface {
		ElastiCacheTags(r *awssim.Request, arn string) map[string]string
	}
)

// tagsOf gives the tags of a resource: what ResourceTags set, or what the simulated service tells.
func (s *IAM) tagsOf(r *awssim.Request, action, arn string) map[string]string {
	if s.tags != nil {
		return s.tags(r, arn)
	}
	switch {
	case hasService(action, "ec2"):
		if t, ok := awssim.Find[ec2Tags](r.World); ok {
			return t.EC2Tags(r, arn)
		}
	case hasService(action, "rds"):
		if t, ok := awssim.Find[rdsTags](r.World); ok {
			return t.RDSTags(r, arn)
		}
	case hasService(action, "elasticache"):
		if t, ok := awssim.Find[elastiCacheTags](r.World); ok {
			return t.ElastiCacheTags(r, arn)
		}
	}
	return nil
}

// keys is what a simulated KMS tells of what names a key.
type keys interface {
	ResolveKey(r *awssim.Request, id string) (keyARN string, ok bool)
}

// resources gives the ARNs that a request names for a target; without a name every resource of its kind.
func (t *target) resources(r *awssim.Request, prefix string, in any) []string {
	if t.kind == "" {
		return []string{"*"}
	}
	names := field(in, t.field)
	if len(names) == 0 {
		switch {
		case t.given:
			return nil
		case t.kind == whole, t.kind == keyARN, t.kind == tagged:
			return []string{"*"}
		}
		names = []string{"*"}
	}
	var out []string
	for _, name := range names {
		out = append(out, t.arn(r, prefix, name))
	}
	return out
}

func (t *target) arn(r *awssim.Request, prefix, name string) string {
	switch {
	case strings.HasPrefix(name, "arn:"), t.kind == whole:
		return name
	case t.kind == keyARN:
		if k, ok := awssim.Find[keys](r.World); ok {
			if arn, ok := k.ResolveKey(r, name); ok {
				return arn
			}
		}
		return r.ARN(prefix, "key/"+name)
	case prefix == "s3":
		return "arn:" + r.Partition() + ":s3:::" + name
	case prefix == "rds" || prefix == "elasticache":
		return r.ARN(prefix, t.kind+strings.ToLower(name)) // as they store names
	case prefix == "kms":
		return r.ARN(prefix, t.kind+strings.TrimPrefix(name, t.kind))
	}
	kind := t.kind
	if kind == tagged {
		id, _, _ := strings.Cut(name, "-")
		kind = map[string]string{"snap": "snapshot/", "vol": "volume/", "i": "instance/", "ami": "image/"}[id]
		if kind == "" {
			kind = "*/"
		}
	}
	arn := r.ARN(prefix, kind+name)
	if kind == "snapshot/" || kind == "image/" { // these have no account in their ARNs
		arn = strings.Replace(arn, ":"+r.Account+":", "::", 1)
	}
	return arn
}
