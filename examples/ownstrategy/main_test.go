package main

import (
	"context"
	"fmt"
)

func Example() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// backup orders succeeded
	// found op-z567uefzq62jbquzidlg5mzdzm of orders available
	// restore op-z567uefzq62jbquzidlg5mzdzm succeeded
	// orders-rehearsal has map[4711:two apples]
	// delete op-z567uefzq62jbquzidlg5mzdzm succeeded
}
