package backup

import (
	"reflect"
	"testing"
	"time"
)

// same sees a change of every field but Updated and Poll, those that come later too.
func TestSameNamesEveryField(t *testing.T) {
	changed := func(v reflect.Value) {
		switch v.Interface().(type) {
		case time.Time:
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		case Ref:
			v.Set(reflect.ValueOf(Ref{ID: "x"}))
			return
		case *Failure:
			v.Set(reflect.ValueOf(&Failure{Message: "x"}))
			return
		}
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Int:
			v.SetInt(7)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.ValueOf("x"), reflect.ValueOf("y"))
		default:
			t.Fatalf("a field of type %v: teach this test to change it", v.Type())
		}
	}
	typ := reflect.TypeFor[Operation]()
	for i := range typ.NumField() {
		var a, b Operation
		changed(reflect.ValueOf(&b).Elem().Field(i))
		ignored := typ.Field(i).Name == "Updated" || typ.Field(i).Name == "Poll"
		if same(a, b) != ignored || same(b, a) != ignored {
			t.Errorf("a change of %s: same says %v", typ.Field(i).Name, same(a, b))
		}
		if !same(b, b.clone()) {
			t.Errorf("a clone with %s is not the same", typ.Field(i).Name)
		}
	}
}
