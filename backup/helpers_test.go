package backup

import "testing"

var testRef = Ref{Type: "test/thing", Account: "123456789012", Region: "eu-west-1", ID: "thing-1"}

func testOperation(t testing.TB, token string) Operation {
	t.Helper()
	op, err := NewOperation("test", ActionBackup, testRef, Spec{Token: token, Tags: map[string]string{"team": "blue"}})
	if err != nil {
		t.Fatal(err)
	}
	return op
}
