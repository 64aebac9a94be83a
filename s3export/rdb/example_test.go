package rdb_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/snapwarden/snapwarden/s3export/rdb"
)

func Example() {
	for _, name := range []string{"types.rdb", "flipped.rdb"} {
		f, err := os.Open("testdata/" + name)
		if err != nil {
			fmt.Println(err)
			return
		}
		info, err := rdb.Check(f)
		f.Close()
		var damaged *rdb.FormatError
		if errors.As(err, &damaged) {
			fmt.Println(name, "is damaged:", damaged.Reason)
			continue
		}
		fmt.Println(name, "is whole:", info.Format, info.Version)
	}
	// Output:
	// types.rdb is whole: REDIS 10
	// flipped.rdb is damaged: checksum
}
