package protect

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/policy"
)

// Every rule that package policy takes comes back as it was, in today's form and in the older one.
func TestRulesRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that repeats
	days := func(most int) int {
		if random.IntN(2) == 0 {
			return 0
		}
		return 1 + random.IntN(most)
	}
	moves := func() (all []policy.Transition) {
		at := 30
		for _, c := range []policy.StorageClass{policy.ClassStandardIA, policy.ClassGlacierIR, policy.ClassDeepArchive} {
			if random.IntN(2) == 0 {
				all = append(all, policy.Transition{Days: at, Class: c})
			}
			at += 30 + random.IntN(9)
		}
		return all
	}
	good := 0
	for range 5000 {
		r := policy.LifecycleRule{ID: "a", Disabled: random.IntN(2) == 0, Prefix: []string{"", "p/"}[random.IntN(2)], Transitions: moves(), OlderTransitions: moves(),
			ExpireDays: days(900), ExpireMarkers: random.IntN(2) == 0, ExpireOlderDays: days(900), KeepOlder: days(100), AbortUploadsDays: days(30)}
		if r.Validate() != nil {
			continue
		}
		good++
		for _, older := range []bool{false, true} {
			x := toS3(r, older)
			if older == (x.Filter != nil) {
				t.Fatalf("%+v", x)
			}
			if got := fromS3(x); !reflect.DeepEqual(got, r) {
				t.Fatalf("%+v became %+v", r, got)
			}
		}
	}
	if good < 300 {
		t.Errorf("only %d rules", good)
	}
}

// Forms that mean the same are read as the same, and the rule that was read is not changed by that.
func TestRulesOfOtherForms(t *testing.T) {
	base := func() s3types.LifecycleRule {
		return s3types.LifecycleRule{ID: aws.String("a"), Status: "Enabled", Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("")},
			Transitions: []s3types.Transition{{Days: aws.Int32(30), StorageClass: "GLACIER_IR"}, {Days: aws.Int32(60), StorageClass: "GLACIER"}}, Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(90)}}
	}
	want := fromS3(base())
	if want.Other != nil {
		t.Fatal("the rule itself is not known")
	}
	for name, f := range map[string]func(*s3types.LifecycleRule){
		"an empty filter": func(x *s3types.LifecycleRule) { x.Filter.Prefix = nil },
		"no filter":       func(x *s3types.LifecycleRule) { x.Filter = nil },
		"an empty prefix": func(x *s3types.LifecycleRule) { x.Filter = nil; *olderPrefix(x) = aws.String("") },
		"another order": func(x *s3types.LifecycleRule) {
			x.Transitions[0], x.Transitions[1] = x.Transitions[1], x.Transitions[0]
		},
		"no marker": func(x *s3types.LifecycleRule) { x.Expiration.ExpiredObjectDeleteMarker = aws.Bool(false) },
		"an empty list": func(x *s3types.LifecycleRule) {
			x.NoncurrentVersionTransitions = []s3types.NoncurrentVersionTransition{}
		},
	} {
		x, same := base(), base()
		f(&x)
		f(&same)
		if got := fromS3(x); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
		if !reflect.DeepEqual(x, same) {
			t.Errorf("%s: the rule was changed to %+v", name, x)
		}
	}
}

// A rule with anything in it that package policy has no words for, whichever field of the SDK it is, is one of somebody else, with the original in
// it: a field that is new in the SDK is found here too.
func TestUnknownFields(t *testing.T) {
	base := func() s3types.LifecycleRule {
		r := policy.LifecycleRule{ID: "a", Prefix: "p", Transitions: []policy.Transition{{Days: 30, Class: policy.ClassGlacier}}, ExpireDays: 90,
			OlderTransitions: []policy.Transition{{Days: 1, Class: policy.ClassGlacier}}, ExpireOlderDays: 9, KeepOlder: 2, AbortUploadsDays: 3}
		return toS3(r, false)
	}
	// known are the fields that a change in gives another rule that is known.
	known := map[string]bool{"LifecycleRule.ID": true, "LifecycleRuleFilter.Prefix": true, "LifecycleExpiration.Days": true, "LifecycleExpiration.ExpiredObjectDeleteMarker": false,
		"NoncurrentVersionExpiration.NoncurrentDays": true, "NoncurrentVersionExpiration.NewerNoncurrentVersions": true, "AbortIncompleteMultipartUpload.DaysAfterInitiation": true,
		"Transition.Days": true, "Transition.StorageClass": true, "NoncurrentVersionTransition.NoncurrentDays": true, "NoncurrentVersionTransition.StorageClass": true}
	fields := 0
	try := func(name string, part func(*s3types.LifecycleRule) reflect.Value) {
		x := base()
		typ := part(&x).Type()
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				continue
			}
			x := base()
			v := part(&x).Field(i)
			switch v.Interface().(type) {
			case *string:
				v.Set(reflect.ValueOf(aws.String("other")))
			case *int32:
				v.Set(reflect.ValueOf(aws.Int32(77)))
			case *int64:
				v.Set(reflect.ValueOf(aws.Int64(77)))
			case *bool:
				v.Set(reflect.ValueOf(aws.Bool(true)))
			case *time.Time:
				v.Set(reflect.ValueOf(aws.Time(time.Unix(1, 0))))
			case *s3types.Tag:
				v.Set(reflect.ValueOf(&s3types.Tag{Key: aws.String("k"), Value: aws.String("v")}))
			case *s3types.LifecycleRuleAndOperator:
				v.Set(reflect.ValueOf(&s3types.LifecycleRuleAndOperator{Prefix: aws.String("q")}))
			default:
				switch {
				case v.Kind() == reflect.String:
					v.SetString("OTHER")
				case !v.IsZero():
					continue // a part of its own, below
				case v.Kind() == reflect.Pointer:
					v.Set(reflect.New(v.Type().Elem()))
				case v.Kind() == reflect.Slice:
					v.Set(reflect.MakeSlice(v.Type(), 1, 1))
				default:
					t.Errorf("%s.%s has the type %s, which this test does not know", name, f.Name, f.Type)
					continue
				}
			}
			fields++
			got := fromS3(x)
			if want := known[name+"."+f.Name]; want == (got.Other != nil) {
				t.Errorf("%s.%s: %+v", name, f.Name, got)
			}
			if got.Other != nil && !reflect.DeepEqual(got.Other, x) {
				t.Errorf("%s.%s is not kept", name, f.Name)
			}
		}
	}
	at := func(p any) reflect.Value { return reflect.ValueOf(p).Elem() }
	try("LifecycleRule", func(x *s3types.LifecycleRule) reflect.Value { return at(x) })
	try("LifecycleRuleFilter", func(x *s3types.LifecycleRule) reflect.Value { return at(x.Filter) })
	try("LifecycleExpiration", func(x *s3types.LifecycleRule) reflect.Value { return at(x.Expiration) })
	try("NoncurrentVersionExpiration", func(x *s3types.LifecycleRule) reflect.Value { return at(x.NoncurrentVersionExpiration) })
	try("AbortIncompleteMultipartUpload", func(x *s3types.LifecycleRule) reflect.Value { return at(x.AbortIncompleteMultipartUpload) })
	try("Transition", func(x *s3types.LifecycleRule) reflect.Value { return at(&x.Transitions[0]) })
	try("NoncurrentVersionTransition", func(x *s3types.LifecycleRule) reflect.Value { return at(&x.NoncurrentVersionTransitions[0]) })
	if fields < 20 {
		t.Errorf("only %d fields", fields)
	}
}
